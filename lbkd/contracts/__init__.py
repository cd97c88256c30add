"""What components must keep to, and how it is checked: on a made-up batch before a run, and while it runs."""
