"""Files of a corpus translated into other languages, and wrong answers repaired."""
