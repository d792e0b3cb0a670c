//! How often to look: as asked for, but never over a share of one processor. It measures looks; it does not make them.

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    period: Duration,
    /// Of one processor, from 0 to 1.
    share: f64,
    /// What a look takes, averaged over the last ones.
    cost: Duration,
}

/// The slowest rate, however expensive a look is.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Budget {
    pub fn new(rate: u32, percent: u32) -> Budget {
        Budget { period: Duration::from_secs(1) / rate.max(1), share: f64::from(percent) / 100.0, cost: Duration::ZERO }
    }

    /// The pause after a look that used a processor for `cost` and took `elapsed`.
    pub fn after(&mut self, cost: Duration, elapsed: Duration) -> Duration {
        self.cost = if self.cost.is_zero() { cost } else { (self.cost * 7 + cost) / 8 };
        let least = self.cost.mul_f64(1.0 / self.share - 1.0);
        self.period.saturating_sub(elapsed).max(least).min(LONGEST_PAUSE)
    }

    /// Looks a second that result.
    pub fn rate(&self) -> u32 {
        let spent = self.cost.as_secs_f64();
        let period = self.period.as_secs_f64().max(spent / self.share).min(LONGEST_PAUSE.as_secs_f64() + spent);
        (1.0 / period) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cheap_looks_keep_the_rate_asked_for() {
        let mut budget = Budget::new(100, 5);
        assert_eq!(budget.after(Duration::from_micros(100), Duration::from_micros(100)), Duration::from_micros(9_900));
        assert_eq!(budget.rate(), 100);
    }

    #[test]
    fn dear_looks_become_fewer() {
        let mut budget = Budget::new(100, 5);
        assert!(budget.after(Duration::from_millis(5), Duration::from_millis(5)) >= Duration::from_millis(94));
        assert!(budget.rate() <= 10);
        let mut slow = Budget::new(100, 1);
        assert_eq!(slow.after(Duration::from_secs(60), Duration::from_secs(60)), LONGEST_PAUSE);
    }
}
