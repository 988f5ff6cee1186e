//! The keys and producers of logs, from the disk.

use std::collections::HashMap;

use tidewire_channel::{Once, ProducerSeq};

use crate::bad_row::LoadError;
use crate::log::{Slot, Writers, new_writers};
use crate::once_row::{KeyRow, ProducerRow};
use crate::state::Writer;

impl Writer {
    /// Reads the keys and producers of logs from the disk again.
    ///
    /// # Errors
    /// [`LoadError`].
    pub(crate) fn reread_writers(&mut self, slots: &[Slot]) -> Result<(), LoadError> {
        if slots.is_empty() {
            return Ok(());
        }
        let mut all: HashMap<i64, (Vec<KeyRow>, Vec<ProducerRow>)> = HashMap::new();
        for &slot in slots {
            let Some(log) = self.logs.get(slot) else { continue };
            let (_, producers) = all.entry(log.id).or_default();
            ProducerRow::load_all(&self.db, Some(log.id), |producer| {
                producers.push(producer);
                Ok(())
            })?;
            producers.sort_by_key(|producer| (producer.cursor.seq(), producer.appended_ms));
        }
        KeyRow::load_all(&self.db, None, |key| {
            if let Some((keys, _)) = all.get_mut(&key.log) {
                keys.push(key);
            }
            Ok(())
        })?;
        for &slot in slots {
            let Some(log) = self.logs.get_mut(slot) else { continue };
            let Some((keys, producers)) = all.remove(&log.id) else { continue };
            let mut writers = Box::new(new_writers(&self.options.limits));
            remember(&mut writers, &keys, &producers);
            log.writers = Some(writers);
        }
        Ok(())
    }
}

/// Puts keys and producers back, from the oldest to the newest.
pub(crate) fn remember(writers: &mut Writers, keys: &[KeyRow], producers: &[ProducerRow]) {
    for key in keys {
        let once = Once::Key { text: &key.text, fingerprint: key.fingerprint };
        writers.remember(key.appended_ms, once, key.cursor);
    }
    for producer in producers {
        let id = producer.name.as_bytes();
        let once = Once::Producer(ProducerSeq { id, epoch: producer.epoch, seq: producer.seq });
        writers.remember(producer.appended_ms, once, producer.cursor);
    }
}
