//! The log plane: pipes, lines, rings, console.
