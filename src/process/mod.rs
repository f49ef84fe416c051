//! The process layer: fork, exec, reap, kill. The only unsafe code.
