//! A gateway worker in front of one fixed upstream, to be measured beside nginx:
//! `bench_gateway --listen 127.0.0.1:8080 --upstream unix:/tmp/app.sock`. The real limits and time-outs are on.

use std::io::Write;
use std::net::TcpListener;

use gateway::config::{Config, Listener, Route, Target};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut listen, mut upstream) = (None, None);
    while let Some(flag) = arguments.next() {
        match flag.as_str() {
            "--listen" => listen = arguments.next(),
            "--upstream" => upstream = arguments.next(),
            other => panic!("unknown argument {other}"),
        }
    }
    let listen = listen.expect("--listen ADDRESS");
    let listener = TcpListener::bind(&listen).expect("listen address is free");
    let address = listener.local_addr().expect("bound").to_string();
    let config = Config {
        listeners: vec![Listener {
            address: address.clone(),
            routes: vec![Route {
                target: "app".into(),
                ..Route::default()
            }],
            ..Listener::default()
        }],
        targets: [(
            "app".to_owned(),
            Target::Upstream {
                address: upstream.expect("--upstream ADDRESS"),
                ready: None,
                jwt: None,
            },
        )]
        .into(),
        ..Config::default()
    };
    let ready = move |news: gateway::News<'_>| {
        let _ = writeln!(
            std::io::stderr(),
            "{news:?}: {address}, pid {}",
            std::process::id()
        );
        true
    };
    gateway::serve(config, vec![listener.into()], ready, std::future::pending()).expect("serves");
}
