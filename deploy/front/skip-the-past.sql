-- For the database of a Synapse that never had an application service, while Synapse is down: its
-- first transactions then begin at the end, and not with everything since the server was set up.
UPDATE appservice_stream_position
SET stream_ordering = (SELECT MAX(stream_ordering) FROM events);
