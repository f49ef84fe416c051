//! Every exit code of podvisor, in one place.
