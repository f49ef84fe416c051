//! What the user said: YAML text to checked types.
