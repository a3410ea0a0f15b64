//! Who goes: told by causes, in a room that no socket is in.

use std::net::Ipv4Addr;

use super::*;

const HERE: Peer = Peer::V4(Ipv4Addr::LOCALHOST);
const THERE: Peer = Peer::V4(Ipv4Addr::new(192, 0, 2, 1));

fn room(limits: ClientLimits) -> Room {
    Room::new(limits, Traffic::default())
}

fn cause(seat: &Seat) -> Option<CloseCause> {
    lock(&seat.0.guest.state).cause
}

/// The place of one that comes alone.
fn seat(room: &Room, peer: Peer) -> Option<Seat> {
    room.seat(peer).inspect(|_| room.make_room())
}

fn few(connections: usize, most: usize) -> ClientLimits {
    ClientLimits { connections, most, ..ClientLimits::default() }
}

#[test]
fn who_waits_goes_before_who_stalls() {
    let room = room(ClientLimits { stall_time: Duration::ZERO, ..few(4, 8) });
    let seats: Vec<_> = (0..4).map(|_| seat(&room, HERE).unwrap()).collect();
    let handles: Vec<_> = seats.iter().map(Seat::handle).collect();
    for handle in &handles[..3] {
        handle.has_asked();
        handle.is_answered();
    }
    handles[2].stalls();
    handles[1].stalls();
    let next: Vec<_> = (0..4).map(|_| seat(&room, HERE).unwrap()).collect();
    let causes: Vec<_> = seats.iter().map(cause).collect();
    // The first is being answered. Of those that came later, one waits for a request and goes.
    let stalled = Some(CloseCause::EvictedStalled);
    assert_eq!(causes, [None, None, None, Some(CloseCause::EvictedIdle)]);
    assert_eq!(next.iter().filter(|seat| cause(seat).is_some()).count(), 3);
    for handle in next.iter().map(Seat::handle) {
        handle.has_asked();
        handle.is_answered();
    }
    let _more = [(); 2].map(|()| {
        let seat = seat(&room, HERE).unwrap();
        seat.handle().has_asked();
        seat.handle().is_answered();
        seat
    });
    assert_eq!(seats.iter().map(cause).collect::<Vec<_>>()[..3], [None, stalled, stalled]);
}

#[test]
fn the_address_with_the_most_gives() {
    let room = room(few(5, 5));
    let here: Vec<_> = (0..2).map(|_| seat(&room, HERE).unwrap()).collect();
    let there: Vec<_> = (0..3).map(|_| seat(&room, THERE).unwrap()).collect();
    let _new = seat(&room, HERE).unwrap();
    assert!(here.iter().all(|seat| cause(seat).is_none()), "although they came first");
    assert_eq!(cause(&there[0]), Some(CloseCause::EvictedIdle));
}

#[test]
fn an_address_that_is_alone_has_it_all() {
    let room = room(few(3, 3));
    let seats: Vec<_> = (0..3).map(|_| seat(&room, HERE).unwrap()).collect();
    assert!(seats.iter().all(|seat| cause(seat).is_none()));
    seats.iter().for_each(|seat| seat.handle().is_answered());
    assert!(seat(&room, HERE).is_none(), "nobody is dearer than another");
    let other = seat(&room, THERE).unwrap();
    other.handle().is_answered();
    assert_eq!(cause(&seats[0]), Some(CloseCause::Refused));
    let queued = seats[2].handle();
    queued.has_asked();
    assert!(seat(&room, HERE).is_some(), "one that waits for its turn makes room for any");
    assert_eq!(cause(&seats[2]), Some(CloseCause::Refused));
}

#[test]
fn deadlines_are_those_of_what_it_waits_for() {
    let room = room(ClientLimits::default());
    let seat = room.seat(Peer::Local).unwrap();
    let handle = seat.handle();
    let waits_for = || handle.deadline().map(|(_, cause)| cause);
    assert_eq!(waits_for(), Some(CloseCause::RequestTimeout));
    handle.asks();
    handle.has_asked();
    assert_eq!(waits_for(), None);
    handle.is_answered();
    assert_eq!(waits_for(), None);
    assert!(!handle.took_all(), "there is more to come");
    handle.stalls();
    assert_eq!(waits_for(), Some(CloseCause::ResponseTimeout));
    let (first, _) = handle.deadline().unwrap();
    handle.takes();
    handle.stalls();
    assert_eq!(handle.deadline().unwrap().0, first, "a byte now and then buys no time");
    handle.has_answer();
    assert!(handle.took_all());
    assert_eq!(waits_for(), Some(CloseCause::Idle));
    handle.asks();
    assert_eq!(waits_for(), Some(CloseCause::RequestTimeout));
}

#[test]
fn a_seat_that_is_left_is_free() {
    let traffic = Traffic::default();
    let room = Room::new(few(2, 2), traffic.clone());
    let (one, two) = (seat(&room, HERE).unwrap(), seat(&room, HERE).unwrap());
    assert!(one.handle().is_crowded());
    drop(one);
    assert!(!two.handle().is_crowded());
    drop(two);
    let seats = lock(&room.0.seats);
    assert_eq!((seats.taken.len(), seats.peers.len(), traffic.open()), (0, 0, 0));
}

#[test]
fn those_who_come_together_make_room_together() {
    let room = room(few(2, 8));
    let few = seat(&room, THERE).unwrap();
    let many: Vec<_> = (0..5).map(|_| room.seat(HERE).unwrap()).collect();
    assert!(many.iter().all(|seat| cause(seat).is_none()), "they may have asked something");
    many[1].handle().has_asked();
    room.make_room();
    let gone = Some(CloseCause::EvictedIdle);
    assert_eq!(cause(&few), gone);
    assert_eq!(many.iter().map(cause).collect::<Vec<_>>(), [gone, None, gone, gone, None]);
}
