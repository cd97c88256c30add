"""What the teachers of a student said of its windows, how they were weighed, and whether they were right."""
