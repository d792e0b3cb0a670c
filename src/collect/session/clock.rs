//! From the agent's time-stamp counter to nanoseconds since the session began. It assumes a counter that runs at one
//! speed on all processors (constant and synchronised, as on every x86-64 of the last fifteen years).

use crate::target::ticks::{self, Reading};

#[derive(Debug, Clone, Copy)]
pub struct SessionClock {
    began: Reading,
    ns_per_tick: f64,
}

impl SessionClock {
    pub fn start() -> Self {
        SessionClock { began: ticks::read(), ns_per_tick: 1.0 }
    }

    /// Measures the counter's speed again, over the whole session so far: it only gets better.
    pub fn adjust(&mut self) {
        self.adjust_to(ticks::read());
    }

    fn adjust_to(&mut self, now: Reading) {
        let passed = now.ticks.saturating_sub(self.began.ticks);
        if passed > 0 {
            self.ns_per_tick = now.ns.saturating_sub(self.began.ns) as f64 / passed as f64;
        }
    }

    /// Nanoseconds from the session's beginning to the moment of that stamp; 0 for stamps from before.
    pub fn since_start(&self, ticks: u64) -> u64 {
        (ticks.saturating_sub(self.began.ticks) as f64 * self.ns_per_tick) as u64
    }

    pub fn now(&self) -> u64 {
        ticks::monotonic_ns().saturating_sub(self.began.ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds_at_the_measured_speed() {
        let mut clock = SessionClock { began: Reading { ns: 1_000, ticks: 500 }, ns_per_tick: 1.0 };
        clock.adjust_to(Reading { ns: 2_000, ticks: 3_500 });
        assert_eq!(clock.since_start(500), 0);
        assert_eq!(clock.since_start(3_500), 1_000);
        assert_eq!(clock.since_start(6_500), 2_000);
        assert_eq!(clock.since_start(3), 0, "a stamp from before the session");
    }
}
