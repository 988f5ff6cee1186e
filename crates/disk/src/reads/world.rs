//! A database that a simple writer fills, and what readers may see of it.

use std::collections::HashMap;

use tidewire_channel::{Budget, Continuity, Cursor, Epoch, Lineage, Since};
use tidewire_store::{Answer, ChannelName, Limits, LogInfo, Message, later};

use super::*;
use crate::directory::Directory;
use crate::entry::Entry;
use crate::index::{Index, RUN, Run, read_run, write_run};
use crate::names::Names;
use crate::page::Look;
use crate::row::{self, MessageRow};
use crate::seen::{Seen, SeenState};

pub(super) const START: u64 = 1_795_000_000_000;

/// A database that a simple writer fills: what readers see is what it has.
pub(super) struct World {
    _dir: tempfile::TempDir,
    pub(super) directory: Directory,
    pub(super) db: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) pool: ReadPool,
    pub(super) next_id: u64,
    /// What each log was given, by id and number.
    pub(super) said: HashMap<(i64, u64), Arc<Message>>,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(dir.path()).expect("it is free");
        let db = directory.open_writer().expect("a database");
        // The tests do not cut the power.
        db.pragma_update(None, "synchronous", "OFF").expect("a setting");
        let names = Names::load(&db, Epoch::new(1), Limits::DEFAULT).expect("there are none");
        let shared = Arc::new(Shared::new(names));
        let pool = pool(&directory, &shared, 2);
        Self { _dir: dir, directory, db, shared, pool, next_id: 1, said: HashMap::new() }
    }

    /// Starts other threads.
    pub(super) fn restart(&mut self, threads: usize) {
        self.pool = pool(&self.directory, &self.shared, threads);
    }

    pub(super) fn log(&self, id: i64, text: &str) -> Arc<Seen> {
        let lineage = lineage(&[(1, 0)], 1_000 + id.cast_unsigned());
        self.add(id, text, lineage, 0, None)
    }

    pub(super) fn fork(&self, id: i64, text: &str, source: &Arc<Seen>, base: u64) -> Arc<Seen> {
        let of_source = source.lock().info.lineage.clone();
        let at = of_source.at(base);
        let past = of_source.past().iter().copied().filter(|&(_, end)| end < base);
        let past: Vec<_> = past.chain([(at.epoch(), base)]).collect();
        let epoch = Epoch::new(1_000 + id.cast_unsigned());
        let lineage = Lineage::from_parts(&past, epoch).expect("the ends increase");
        self.add(id, text, lineage, base, Some((source.clone(), base)))
    }

    pub(super) fn add(
        &self,
        id: i64,
        text: &str,
        lineage: Lineage,
        head: u64,
        source: Option<(Arc<Seen>, u64)>,
    ) -> Arc<Seen> {
        let mut info = LogInfo::new(lineage, Arc::default());
        info.head = head;
        let (log, index) = (id, Index::new(head));
        let seen = Seen::new(SeenState { info, log, index, source, is_deleted: false, oldest_ms: None });
        let seen = Arc::new(seen);
        self.shared.change(|logs, _| logs.insert(name(text), seen.clone()));
        seen
    }

    pub(super) fn say(&mut self, seen: &Seen, texts: &[&str]) {
        for text in texts {
            self.append(seen, Message::new(text.to_string().into(), START));
        }
    }

    /// Appends a message, in a transaction of its own if there is none.
    pub(super) fn append(&mut self, seen: &Seen, message: Message) {
        let id = self.next_id;
        self.next_id += 1;
        let mut state = seen.lock();
        let number = state.index.next();
        let cursor = Cursor::new(state.info.lineage.current(), number);
        let row = MessageRow { id, log: state.log, cursor, appended_ms: START, message: &message };
        row::insert(&self.db, &row).expect("a row");
        state.index.push(Entry { id, size: message.weight(), appended_ms: START });
        state.info.head = number;
        state.oldest_ms.get_or_insert(START);
        self.said.insert((state.log, number), Arc::new(message));
    }

    pub(super) fn fill(&mut self, seen: &Seen, count: usize) {
        self.db.execute_batch("BEGIN").expect("a transaction");
        for n in 0..count {
            self.append(seen, Message::new(format!("{n}").into(), START));
        }
        self.db.execute_batch("COMMIT").expect("the end of it");
    }

    /// Moves the tail of a log to runs.
    pub(super) fn fold(&self, seen: &Seen) {
        loop {
            let (log, first, tail, last) = {
                let state = seen.lock();
                let (first, tail) = state.index.tail();
                let tail: Vec<Entry> = tail.iter().copied().collect();
                (state.log, first, tail, state.index.last_run().copied())
            };
            if tail.is_empty() {
                return;
            }
            let last = last.filter(|run| (run.count as usize) < RUN && run.end() == first);
            let mut entries =
                last.map_or(Vec::new(), |run| read_run(&self.db, log, run.first).expect("a run"));
            let room = RUN - entries.len();
            entries.extend(tail.into_iter().take(room));
            let run = Run::new(last.map_or(first, |run| run.first), &entries);
            write_run(&self.db, log, &run, &entries).expect("a run");
            seen.lock().index.folded(run);
        }
    }

    pub(super) fn ask(&self, text: &str, since: impl Into<Since>, budget: Budget) -> Result<Page, ReadError> {
        let request = request(text, since, budget);
        match self.shared.look(&request) {
            Look::Answer(answer) => answer,
            Look::Expire => panic!("nothing is too old"),
            Look::Rows => self.read(request).wait().expect("it answers"),
        }
    }

    pub(super) fn read(&self, request: ReadRequest) -> Answer<Result<Page, ReadError>> {
        let (respond, answer) = later();
        self.pool.read(request, respond);
        Answer::Later(answer)
    }

    pub(super) fn page(&self, text: &str, since: impl Into<Since>, budget: Budget) -> Page {
        let page = self.ask(text, since, budget).expect("there is a log");
        let mut number = page.start.seq();
        let seen = self.shared.find(&name(text)).expect("there is a log");
        for (cursor, message) in &page.messages {
            number += 1;
            assert_eq!(*cursor, page.info.lineage.at(number));
            let mut of = seen.clone();
            let log = loop {
                let (log, source) = {
                    let state = of.lock();
                    (state.log, state.source.clone())
                };
                match source {
                    Some((source, base)) if number <= base => of = source,
                    _ => break log,
                }
            };
            assert_eq!(self.said.get(&(log, number)), Some(message), "{cursor}");
        }
        assert_eq!(page.more, number < page.info.head);
        page
    }

    pub(super) fn sql(&self, sql: &str) {
        let changed = self.db.execute(sql, ()).expect("a change");
        assert!(changed > 0, "{sql}");
    }

    /// Reads on until the head, and tells how each page went on.
    pub(super) fn read_all(
        &self,
        text: &str,
        since: impl Into<Since>,
        budget: Budget,
    ) -> Vec<(Continuity, usize)> {
        let (mut since, mut pages) = (since.into(), Vec::new());
        loop {
            let page = self.page(text, since, budget);
            pages.push((page.continuity, page.messages.len()));
            if !page.more {
                return pages;
            }
            assert_ne!(since, page.cursor.into(), "a reader goes on");
            since = page.cursor.into();
        }
    }
}

pub(super) fn pool(directory: &Directory, shared: &Arc<Shared>, threads: usize) -> ReadPool {
    let readers = (0..threads).map(|_| directory.open_reader().expect("a reader")).collect();
    ReadPool::start(readers, shared.clone()).expect("threads")
}

pub(super) fn lineage(past: &[(u64, u64)], current: u64) -> Lineage {
    let past: Vec<_> = past.iter().map(|&(epoch, end)| (Epoch::new(epoch), end)).collect();
    Lineage::from_parts(&past, Epoch::new(current)).expect("the ends increase")
}

pub(super) fn name(text: &str) -> ChannelName {
    ChannelName::new(text).expect("a good name")
}

pub(super) fn request(text: &str, since: impl Into<Since>, budget: Budget) -> ReadRequest {
    ReadRequest { name: name(text), since: since.into(), budget, now_ms: START }
}

pub(super) fn texts(page: &Page) -> Vec<&str> {
    page.messages.iter().map(|(_, message)| message.text().expect("a text")).collect()
}
