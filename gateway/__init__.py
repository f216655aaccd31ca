"""An event-driven trigger gateway: what happens elsewhere becomes exactly one durable run here.

The map, from the outside in; imports point only downwards:

    cli       commands; talk to a running gateway over HTTP
    app       builds the parts below and owns the process; does nothing itself
    config    the whole file: loading, places of errors, presets
    web       the HTTP edge: hooks, API, probes
    log       how log lines look, and what never stands in them
    runtime   the loops: intake, dispatcher, attempts, the leader and its clock, leases, housekeeping
    sources   how something that happened becomes an `Event`
    targets   how a run becomes a call, and an answer an `Outcome`
    store     the only SQL: one file per transaction
    core      pure decisions: plan, the enqueue-once table, run states, settling, what is due and when

The flow: source -> Event -> plan -> accept (one commit) -> 202;
schedule -> what is due -> Event -> plan -> tick (one commit);
claim -> attempt -> Outcome -> settle (one commit).
"""

__version__ = "0.1.0"
