//! A simple `tidewire.v1` client that changes its channels while messages arrive.
//!
//! It does not recover from errors, because that could hide a fault. It also checks every cursor:
//! it must equal the one that the client computes from the messages it received.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Client, Deadline, Feed, FeedEvent, PATIENCE, Received, Rng, Ws};

/// One channel of the client.
struct Place {
    channel: String,
    /// What it received from the channel, over all its subscriptions.
    client: Client,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    In,
    /// `unsubscribe` was sent. Messages may arrive until it is acknowledged.
    Leaving,
    Out,
    /// `subscribe` was sent. No message arrives before its hello.
    Joining,
}

/// The client. When it subscribes to a channel again, it continues at its position.
pub struct ChannelChanger {
    ws: Ws,
    places: Vec<Place>,
    /// Indices of the channels that the server delivers, in its order.
    order: Vec<usize>,
    /// Indices of channels whose change is not answered yet, in the order of the commands.
    asked: VecDeque<usize>,
    /// The number of answered changes.
    pub changes: usize,
}

impl ChannelChanger {
    /// Starts with a socket that was opened on the first of these channels at its cursor.
    /// Subscribes to the second one right after the handshake.
    pub fn start(ws: Ws, channels: &[(&str, &str)]) -> Self {
        let place = |(channel, cursor): &(&str, &str)| Place {
            channel: (*channel).to_owned(),
            client: Client::at(cursor),
            state: State::Out,
        };
        let mut changer = ChannelChanger {
            ws,
            places: channels.iter().map(place).collect(),
            order: vec![0],
            asked: VecDeque::new(),
            changes: 0,
        };
        changer.places[0].state = State::In;
        changer.join(1);
        let hello = changer.ws.json();
        assert_eq!((&hello["type"], &hello["cursor"]), (&json!("hello"), &json!(changer.cursor())));
        changer
    }

    /// Reads, and changes channels from time to time, until it has message `last` of each channel.
    /// Sleeps after `dawdle` of a hundred messages.
    pub fn run(&mut self, last: u64, rng: &mut Rng, dawdle: usize) {
        let deadline = Deadline::after(PATIENCE * 3);
        while self.places.iter().any(|place| super::seq(&place.client.cursor) < last) {
            deadline.check("all messages of all channels", || self.cursor());
            if rng.chance(4) {
                self.change(rng, last);
            }
            if self.asked.is_empty() && self.order.iter().all(|&n| self.is_at(n, last)) {
                // Its channels have no more messages, so join one that has.
                let next = (0..self.places.len()).find(|&n| !self.is_at(n, last));
                self.join(next.expect("the loop runs while a channel is behind"));
            }
            let message = self.ws.next();
            self.handle(message);
            if rng.below(100) < dawdle {
                std::thread::sleep(std::time::Duration::from_millis(rng.below(20) as u64));
            }
        }
    }

    /// The number of messages that were reported as lost, in all channels.
    pub fn missed(&self) -> u64 {
        self.places.iter().map(|place| place.client.missed).sum()
    }

    /// What it received from each channel.
    pub fn got(&self) -> impl Iterator<Item = (&str, &Client)> {
        self.places.iter().map(|place| (&*place.channel, &place.client))
    }

    fn is_at(&self, n: usize, last: u64) -> bool {
        super::seq(&self.places[n].client.cursor) == last
    }

    /// Sends a command, if a change is possible. Earlier commands may not be answered yet.
    fn change(&mut self, rng: &mut Rng, last: u64) {
        let n = rng.below(self.places.len());
        let stay = self.places.iter().filter(|place| place.state == State::In).count();
        match self.places[n].state {
            State::Out => self.join(n),
            State::In if stay > 1 && !self.is_at(n, last) => self.leave(n),
            _ => {}
        }
    }

    fn join(&mut self, n: usize) {
        let Place { channel, client, state } = &mut self.places[n];
        *state = State::Joining;
        self.ws.say(json!({"type": "subscribe", "id": n, "channel": channel, "since": client.cursor}));
        self.asked.push_back(n);
    }

    fn leave(&mut self, n: usize) {
        let Place { channel, state, .. } = &mut self.places[n];
        *state = State::Leaving;
        self.ws.say(json!({"type": "unsubscribe", "id": n, "channel": channel}));
        self.asked.push_back(n);
    }

    fn handle(&mut self, message: Message) {
        let Message::Text(text) = message else { panic!("not a text: {message:?}") };
        let object: Value = serde_json::from_str(&text).unwrap();
        match object["type"].as_str().unwrap() {
            "hello" => self.hello(&object),
            "ack" => self.ack(&object),
            "message" | "gap" => self.message_or_gap(&object),
            _ => panic!("nothing of that kind was asked for: {object}"),
        }
    }

    fn hello(&mut self, hello: &Value) {
        let n = *self.asked.front().expect("a subscription was asked for");
        assert_eq!(
            (self.places[n].state, &hello["channel"]),
            (State::Joining, &json!(self.places[n].channel))
        );
        self.order.push(n);
        assert_eq!(hello["cursor"], self.cursor(), "{hello}");
        self.places[n].state = State::In;
        // The acknowledgement comes next, before any message.
        let ack = self.ws.json();
        self.ack(&ack);
    }

    fn ack(&mut self, ack: &Value) {
        let n = self.asked.pop_front().expect("something was asked for");
        if self.places[n].state == State::Leaving {
            self.order.retain(|&one| one != n);
            self.places[n].state = State::Out;
        }
        let expected = json!({"type": "ack", "id": n, "cursor": self.cursor()});
        assert_eq!(*ack, expected);
        self.changes += 1;
    }

    /// Handles a message or a gap. It changes the position in one channel only.
    fn message_or_gap(&mut self, object: &Value) {
        let cursors: Vec<&str> = object["cursor"].as_str().unwrap().split('.').collect();
        let had = self.cursor();
        let had: Vec<&str> = had.split('.').collect();
        assert_eq!(cursors.len(), had.len(), "after {had:?} came {cursors:?}");
        let moved: Vec<usize> = (0..had.len()).filter(|&at| had[at] != cursors[at]).collect();
        let [at] = moved[..] else { panic!("after {had:?} came {cursors:?}") };
        let cursor = cursors[at].to_owned();
        let event = match object["missed"].as_u64() {
            Some(missed) => {
                assert_eq!(object["from"], self.cursor());
                FeedEvent::Gap { missed, cursor }
            }
            None => {
                let payload = object["data"].as_str().unwrap().as_bytes().to_vec();
                FeedEvent::Message(Received { cursor, payload, ..Received::default() })
            }
        };
        let Place { channel, client, .. } = &mut self.places[self.order[at]];
        if object["missed"].is_null() {
            let label = (had.len() > 1).then_some(&**channel);
            assert_eq!(object["channel"].as_str(), label, "at {}", object["cursor"]);
        }
        client.take(Feed::WsV1, event);
    }

    /// The cursor of all channels that the server delivers.
    fn cursor(&self) -> String {
        let cursors: Vec<&str> = self.order.iter().map(|&n| &*self.places[n].client.cursor).collect();
        cursors.join(".")
    }
}
