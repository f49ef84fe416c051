//! OTLP logs over protobuf: written by hand on the way out, read without trust on the way in.

pub mod encode;
pub mod read;
pub mod resource;
pub mod response;
pub mod slice;
mod structured;
pub mod value;
pub mod wire;
