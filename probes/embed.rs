//! Build script: compiles the injected agent (`probes/agent`), a `cdylib`, so that the tool can embed it.
//!
//! Cargo has no stable way to depend on another package's `cdylib`, so this runs cargo once more, in a
//! target directory of its own. It does not decide anything about the agent beyond that.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    for watched in ["probes/agent/src", "probes/agent/Cargo.toml", "probes/src", "probes/embed.rs"] {
        println!("cargo:rerun-if-changed={watched}");
    }
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let target = out.join("agent");
    let status = Command::new(std::env::var_os("CARGO").expect("cargo sets it"))
        .args(["build", "--release", "--manifest-path"])
        .arg(root.join("probes/agent/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        // Flags meant for the tool (coverage, sanitizers) have no place inside another process.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CLIPPY_ARGS")
        .status()
        .expect("cannot run cargo for probes/agent");
    assert!(status.success(), "building probes/agent failed");
    let library = target.join("release/libracetrace_agent.so");
    println!("cargo:rustc-env=RACETRACE_AGENT={}", library.display());
}
