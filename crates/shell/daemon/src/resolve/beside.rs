//! A gateway that asks who is there, and another way to the same program that does not.
//!
//! `listen = gateway` keeps a program's own address open, for a gateway of the file may serve another one or a part of the
//! paths only. With `auth` there that is a way past the sign-in, so `check` names it. An address that only this machine
//! reaches is left out: what stands in front of it is the operator's.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use conf::{Auth, Listen};
use finding::Finding;

use super::gateways::replaces_derived;
use super::program::Public;

/// Says which programs can be reached past their sign-in.
pub(super) fn open_beside(
    model: &conf::Model,
    public: &BTreeMap<String, Public>,
    findings: &mut Vec<Finding>,
) {
    let gated = model.programs.iter();
    for program in gated.filter(|program| *program.listen == Listen::Gateway) {
        let asks = |gateway: &&conf::Gateway| {
            let mut routes = gateway.routes.iter();
            *gateway.auth == Auth::Required && routes.any(|route| route.target == program.name)
        };
        let Some(gateway) = model.gateways.iter().find(asks) else {
            continue;
        };
        let Some(public) = public.get(&program.name) else {
            continue;
        };
        let open = public
            .addresses
            .iter()
            .filter(|address| is_far(address) && !replaces_derived(model, &program.name, address));
        for address in open {
            let (program, gateway_name) = (&program.name, &gateway.name);
            let message = format!(
                "{program} is open on {address} without `auth`, beside [gateway:{gateway_name}], which requires it"
            );
            findings.push(
                Finding::warning("auth", message)
                    .at(gateway.header.clone())
                    .effect("whoever reaches that address gets past the sign-in")
                    .fix(format!(
                        "let [gateway:{gateway_name}] take it over (listen = …, {address} and route = / -> {program}), or let the program listen on 127.0.0.1"
                    )),
            );
        }
    }
}

/// Whether other machines reach it.
fn is_far(address: &str) -> bool {
    if address.starts_with("unix:") || address.starts_with("localhost:") {
        return false;
    }
    address
        .parse::<SocketAddr>()
        .map_or(true, |at| !at.ip().is_loopback())
}
