//! The life-cycle in sentences.
#![allow(missing_docs)]

mod checks;
mod replacements;
mod starts;
mod stops;
mod world;
