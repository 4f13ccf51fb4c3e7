"""The rule language: which tracks a rule is about, and what it does to their tags."""
