//! A large graph: a thousand services, each needing all of the layer before.

use std::time::{Duration, Instant};

use podvisor::core::{Event, Halt, ServiceState};

use crate::plan::daemon;
use crate::script::secs;
use crate::world::World;

const LAYERS: usize = 10;
const WIDTH: usize = 100;

#[test]
fn thousand_services_boot_and_stop_in_little_time() {
    let name = |layer: usize, place: usize| format!("s{layer:02}-{place:03}");
    let mut plans = Vec::new();
    for layer in 0..LAYERS {
        for place in 0..WIDTH {
            let mut plan = daemon(&name(layer, place));
            for other in 0..WIDTH {
                if let Some(before) = layer.checked_sub(1) {
                    plan = plan.needs(&name(before, other));
                }
            }
            plans.push(plan);
        }
    }
    let (graph, _) = crate::plan::graph(plans.clone());
    let mut world = World::with(plans, crate::plan::settings(), 0);
    world.known.be_brief();
    world.tell(Event::Boot);
    world.run(secs(5));
    assert!(
        graph
            .ids()
            .all(|id| world.core.state(id) == ServiceState::Ready)
    );
    world.halt(Halt::Stop);
    assert_eq!(world.code(), 0);
    // The same again, without the world around it.
    let began = Instant::now();
    let mut core = podvisor::core::Core::new(graph, world.settings, 0, Default::default());
    let mut actions = Vec::new();
    for (at, event, _) in &world.told {
        core.handle(*at, event.clone(), &mut actions);
    }
    let took = began.elapsed();
    println!("{} events in {took:?}", world.told.len());
    assert!(took < Duration::from_secs(5), "{took:?}");
}
