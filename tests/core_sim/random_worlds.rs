//! Thousands of random worlds: whatever happens, what must hold holds, and the end comes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use podvisor::core::{Action, Core, Tick};

use crate::chance::Chance;
use crate::world::World;

/// More steps than any of these worlds needs to end.
const MOST_STEPS: usize = 60_000;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a world to its end, and on: nothing may come after it.
fn live(world: &mut World) -> usize {
    let mut steps = 0;
    while world.exit().is_none() && world.step() {
        steps += 1;
        assert!(steps < MOST_STEPS, "it never ends");
    }
    assert!(world.exit().is_some(), "it ended without an exit");
    assert!(world.scheduled.is_empty(), "a schedule was left");
    for _ in 0..20 {
        world.step();
    }
    steps
}

/// The same events at the same times give the same actions.
fn replay(world: &World) {
    let graph = world.core.graph().clone();
    let mut core = Core::new(graph, world.settings, world.seed, Tick(0));
    let mut log = Vec::new();
    for (at, event, _) in &world.told {
        let mut actions: Vec<Action> = Vec::new();
        core.handle(*at, event.clone(), &mut actions);
        log.extend(actions.into_iter().map(|action| (*at, action)));
    }
    assert!(log == world.log, "told the same, it did something else");
}

fn one(seed: u64) -> usize {
    let mut world = Chance::world(seed);
    let steps = live(&mut world);
    replay(&world);
    steps
}

/// One world, told in full.
fn show(seed: u64) {
    let mut world = Chance::world(seed);
    for id in world.core.graph().ids() {
        println!("{id:?} {:?}", world.core.graph().spec(id));
    }
    let result = catch_unwind(AssertUnwindSafe(|| {
        live(&mut world);
        replay(&world);
    }));
    let mut log = world.log.iter();
    for (at, event, count) in &world.told {
        println!("{:>12.3} {event:?}", at.0 as f64 / 1e9);
        for (_, action) in log.by_ref().take(*count) {
            println!("             -> {action:?}");
        }
    }
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn random_worlds_keep_every_promise() {
    if let Some(seed) = setting("SEED") {
        return show(seed);
    }
    let first = setting("FIRST").unwrap_or(1);
    let worlds = setting("WORLDS").unwrap_or(3_000);
    let began = std::time::Instant::now();
    let mut steps = 0;
    for seed in first..first + worlds {
        match catch_unwind(|| one(seed)) {
            Ok(taken) => steps += taken,
            Err(panic) => {
                println!("failed with SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "{worlds} worlds, {steps} steps, {:.0} steps/s",
        steps as f64 / took
    );
}
