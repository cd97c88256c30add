"""The functions of `import lbkd`, and what the commands share with them."""
