//! A thousand schedules, the same ones every time; `./x simulate` lives others.
#![cfg(all(test, feature = "embedded"))]
#![expect(clippy::panic, reason = "these are tests: they fail by panicking")]

use keyway_lab::schedule::run;

/// A quarter of the thousand: cores share the quarters.
fn a_quarter_from(seed: u64) {
    let summary = run(seed, 250, 1, &|_| ()).unwrap_or_else(|error| panic!("{error}"));
    if let Some(failure) = summary.failure {
        failure.story.iter().for_each(|line| println!("{line}"));
        panic!(
            "{}\nlive it again with `./x simulate --schedules 1 --seed {}`",
            failure.violation, failure.seed
        );
    }
    assert_eq!(summary.schedules, 250);
    // They came through something.
    assert!(summary.tally.agreed > 250 && summary.tally.deaths > 100, "{:?}", summary.tally);
}

#[test]
fn no_law_is_broken_in_a_quarter_of_the_thousand_schedules() {
    a_quarter_from(0);
}

#[test]
fn no_law_is_broken_in_the_second_quarter() {
    a_quarter_from(250);
}

#[test]
fn no_law_is_broken_in_the_third_quarter() {
    a_quarter_from(500);
}

#[test]
fn no_law_is_broken_in_the_last_quarter() {
    a_quarter_from(750);
}

#[test]
fn a_seed_lives_the_same_schedule_again() {
    let room = keyway_lab::room::Room::new().unwrap_or_else(|error| panic!("{error}"));
    for seed in [3, 14, 159] {
        let stories = [(); 2].map(|()| {
            let mut world = keyway_lab::world::World::new(&room, seed).unwrap_or_else(|e| panic!("{e}"));
            world.live().unwrap_or_else(|violation| panic!("{violation}"));
            world.story().to_vec()
        });
        assert_eq!(stories[0], stories[1], "seed {seed}");
    }
}
