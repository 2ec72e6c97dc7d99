//! Sessions at the gateway: the real store, a program that signs people in by one header, clients with raw sockets. A
//! file for each room of `gateway::door`.

mod admit;
#[path = "../common/mod.rs"]
mod common;
mod dispatch;
mod marks;
mod settle;
mod streams;
mod successor;
mod twice;
