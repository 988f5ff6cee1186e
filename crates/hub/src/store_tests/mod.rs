//! A hub over stores that are slow, fail, answer in another order, crash, and are shared.

mod ends;
mod gaps;
mod life;
mod publishing;
mod reading;
mod restarts;
mod setup;
mod silence;
mod sites;
mod stops;
mod uploads;
