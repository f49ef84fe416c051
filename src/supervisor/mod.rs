//! The driver: one thread, one loop, events to the core, actions to the world.
