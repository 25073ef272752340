"""The steps that Valkey or Redis carries out for the log of a cluster, each whole or not at all.

A step checks and writes at once, so what it has checked still holds when it writes: an owner that
was frozen appends nothing with a lease that has ended. The keys, after `lamp:{server_name}:`:

    state         hash    birth, began, head, floor, epoch, ahead, latest: see below
    nodes         set     the names of nodes that have joined
    node:NAME     hash    lease, address, alike, parts, applied; it expires with the lease
    owners        hash    partition to lease; it holds as long as that lease lives
    log:BIRTH     stream  the records: by, count, after, and `told`, `owned` or `agreed`
    in:LEASE      stream  what others say to that lease: by, said

A lease is written `NAME:EPOCH`.

The clock is `TIME`, of the server alone, and `ahead` milliseconds more: so much it was set back, or
is behind that of the machine before. Otherwise all nodes would wait, with everything, until it has
caught up. From each renewal to the next, `ahead` becomes less by at most a twentieth of the time.

A renewal, and a join, delete old records first. A server that has come to `maxmemory` lets a script
delete; and what has deleted may write. So leases are kept, and there will be memory again.

A number that stands for a position counts in `positions.RECORD`: 16 for each millisecond. So it is
exact in Lua, whose numbers are doubles. `head` is that of the newest record, and `floor` one that
the next record is above, too. `began` is where the log with this birth began. A record also has the
`head` before it, so a reader sees a gap.

An epoch is larger than the millisecond of every position that is known when a node joins, and
later positions are not before the millisecond of that number. So where all data are lost, a node
that knows any record of an epoch gets a larger epoch by its floor, even if the clock was set back.
"""

import hashlib
from typing import Final

import msgspec

__all__ = ["AGREE", "GIVE", "JOIN", "LEAVE", "RENEW", "SAY", "STANDING", "TAKE", "TELL", "Script"]


class Script(msgspec.Struct, frozen=True):
    """A step: its source in Lua, and the name by which the server knows it."""

    source: str
    digest: str


_COMMON: Final = """
local prefix = KEYS[1]
local state, nodes, owners = prefix .. 'state', prefix .. 'nodes', prefix .. 'owners'

local function node_of(lease)
    return prefix .. 'node:' .. lease:match('^[^:]+')
end

local function lives(lease)
    return redis.call('HGET', node_of(lease), 'lease') == lease
end

-- Milliseconds since 1970, as the server's machine has it.
local function machine_time()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Milliseconds since 1970, as all nodes have it.
local function now()
    return machine_time() + (redis.call('HGET', state, 'ahead') or 0)
end

-- A number as text, with all its digits.
local function whole(number)
    return string.format('%.0f', number)
end

-- Deletes records that are older than `kept` milliseconds.
local function trim(kept)
    local birth = redis.call('HGET', state, 'birth')
    if birth then
        redis.call('XTRIM', prefix .. 'log:' .. birth, 'MINID', '~', whole(now() - kept))
    end
end

-- Lets the time go on where the machine's clock was set back. Where no lease was renewed for longer
-- than one lives, the clock may have been set forward again.
local function keep_time(life)
    local ahead, latest = unpack(redis.call('HMGET', state, 'ahead', 'latest'))
    ahead, latest = tonumber(ahead or 0), tonumber(latest or 0)
    local time = machine_time()
    local passed = time + ahead - latest
    if passed < 0 or passed > tonumber(life) then
        ahead = math.max(0, latest - time)
    else
        ahead = math.max(0, math.floor(ahead - passed / 20))
    end
    redis.call('HSET', state, 'ahead', whole(ahead), 'latest', whole(time + ahead))
end

-- Appends a record of some entries, and deletes those that are older than `kept` milliseconds.
local function append(lease, count, kept, kind, payload)
    local birth, head, floor = unpack(redis.call('HMGET', state, 'birth', 'head', 'floor'))
    local time = now()
    local first = math.max(math.max(head, floor) + 1, time * 16)
    local last = first + count - 1
    local id = string.format('%.0f-%.0f', math.floor(last / 16), last % 16 * 65536)
    redis.call('XADD', prefix .. 'log:' .. birth, 'MINID', '~', whole(time - kept), id,
        'by', lease, 'count', count, 'after', head, kind, payload)
    redis.call('HSET', state, 'head', whole(last))
    return whole(last)
end

-- Lets a living lease own partitions, and tells all nodes.
local function own(lease, partitions, kept)
    if #partitions > 0 then
        for _, partition in ipairs(partitions) do
            redis.call('HSET', owners, partition, lease)
        end
        append(lease, 1, kept, 'owned', table.concat(partitions, ' '))
    end
    return partitions
end

local function standing()
    local birth, head = unpack(redis.call('HMGET', state, 'birth', 'head'))
    if not birth then
        return false
    end
    local living = {}
    for _, name in ipairs(redis.call('SMEMBERS', nodes)) do
        local node = redis.call('HMGET', prefix .. 'node:' .. name, 'lease', 'address', 'applied')
        if node[1] then
            living[#living + 1] = node
        end
    end
    local oldest = redis.call('XRANGE', prefix .. 'log:' .. birth, '-', '+', 'COUNT', 1)[1]
    local complete_after = oldest and oldest[2][6] or head
    return {birth, head, complete_after, now(), redis.call('HGETALL', owners), living}
end
"""


def _script(source: str) -> Script:
    whole = _COMMON + source
    return Script(whole, hashlib.sha1(whole.encode(), usedforsecurity=False).hexdigest())


#: name, address, alike, parts, the largest position that the node knows, floor, life of the lease
#: in ms, birth of the data that the node has joined before, birth if the log begins here, for how
#: many ms records are kept.
JOIN: Final = _script("""
local name, address, alike, parts, known, least, life, theirs, new, kept = unpack(ARGV)
trim(kept)
local key = prefix .. 'node:' .. name
if redis.call('EXISTS', key) == 1 then
    return {'in use'}
end
for _, other in ipairs(redis.call('SMEMBERS', nodes)) do
    local theirs = redis.call('HMGET', prefix .. 'node:' .. other, 'alike', 'parts')
    if theirs[1] and theirs[1] ~= alike then
        return {'differ', other, theirs[1], theirs[2] or '{}'}
    end
end
keep_time(life)
local found = redis.call('HMGET', state, 'birth', 'began', 'head', 'floor', 'epoch')
local birth, began, head, floor, epoch = unpack(found)
known, head, floor = tonumber(known), tonumber(head or 0), tonumber(floor or 0)
if not birth or known > head
        or theirs ~= '' and theirs ~= birth and known > tonumber(began) then
    if birth then
        for _, other in ipairs(redis.call('SMEMBERS', nodes)) do
            redis.call('DEL', prefix .. 'node:' .. other)
        end
        redis.call('DEL', nodes, owners, prefix .. 'log:' .. birth)
    end
    birth, head = new, math.max(math.max(least, head, floor) + 1, now() * 16)
    redis.call('HSET', state, 'birth', birth, 'began', whole(head), 'head', whole(head))
end
local highest = math.max(head, floor, least, now() * 16)
epoch = math.max(epoch or 0, math.floor(highest / 16)) + 1
redis.call('HSET', state, 'floor', whole(math.max(highest, epoch * 16)), 'epoch', whole(epoch))
local lease = name .. ':' .. whole(epoch)
redis.call('HSET', key, 'lease', lease, 'address', address, 'alike', alike, 'parts', parts,
    'applied', 0)
redis.call('PEXPIRE', key, life)
redis.call('SADD', nodes, name)
return {'lease', whole(epoch), birth}
""")

#: lease, applied, life of the lease, life of an inbox that is not renewed, for how many ms records
#: are kept.
RENEW: Final = _script("""
local lease, applied, life, rest, kept = unpack(ARGV)
if not lives(lease) or tonumber(applied) > tonumber(redis.call('HGET', state, 'head')) then
    return false
end
trim(kept)
keep_time(life)
for _, name in ipairs(redis.call('SMEMBERS', nodes)) do
    local left = redis.call('PTTL', prefix .. 'node:' .. name)
    if left < 0 then
        redis.call('SREM', nodes, name)
    elseif left > tonumber(life) then -- the clock was set back
        redis.call('PEXPIRE', prefix .. 'node:' .. name, life)
    end
end
redis.call('HSET', node_of(lease), 'applied', applied)
redis.call('PEXPIRE', node_of(lease), life)
redis.call('PEXPIRE', prefix .. 'in:' .. lease, rest)
return standing()
""")

#: No arguments.
STANDING: Final = _script("return standing()")

#: lease, for how many ms records are kept, partitions.
TAKE: Final = _script("""
local lease = ARGV[1]
if not lives(lease) then
    return false
end
local free = {}
for place = 3, #ARGV do
    local owner = redis.call('HGET', owners, ARGV[place])
    if not owner or not lives(owner) then
        free[#free + 1] = ARGV[place]
    end
end
return own(lease, free, ARGV[2])
""")

#: lease, heir, for how many ms records are kept, partitions.
GIVE: Final = _script("""
local lease, heir = ARGV[1], ARGV[2]
if not lives(lease) then
    return false
end
local given = {}
for place = 4, #ARGV do
    if lives(heir) and redis.call('HGET', owners, ARGV[place]) == lease then
        given[#given + 1] = ARGV[place]
    end
end
return own(heir, given, ARGV[3])
""")

#: lease.
LEAVE: Final = _script("""
local lease = ARGV[1]
if lives(lease) then
    redis.call('DEL', node_of(lease), prefix .. 'in:' .. lease)
end
return true
""")

#: lease, the number of entries, payload, for how many ms records are kept, partitions.
TELL: Final = _script("""
local lease, count, payload, kept = unpack(ARGV, 1, 4)
if not lives(lease) then
    return false
end
for place = 5, #ARGV do
    if redis.call('HGET', owners, ARGV[place]) ~= lease then
        return false
    end
end
return append(lease, count, kept, 'told', payload)
""")

#: lease, alike, parts, for how many ms records are kept, leases.
AGREE: Final = _script("""
local lease, alike, parts, kept = unpack(ARGV, 1, 4)
if not lives(lease) then
    return false
end
local agreed, keys = {}, {}
for place = 5, #ARGV do
    agreed[ARGV[place]] = true
end
for _, name in ipairs(redis.call('SMEMBERS', nodes)) do
    local key = prefix .. 'node:' .. name
    local living = redis.call('HGET', key, 'lease')
    if living and not agreed[living] then
        return 0
    elseif living then
        keys[#keys + 1] = key
    end
end
for _, key in ipairs(keys) do
    redis.call('HSET', key, 'alike', alike, 'parts', parts)
end
append(lease, 1, kept, 'agreed', alike)
return 1
""")

#: lease, to whom, for how many ms messages are kept, payloads.
SAY: Final = _script("""
local lease, to, kept = unpack(ARGV, 1, 3)
if not lives(lease) then
    return false
end
if not lives(to) then
    return 0
end
local inbox = prefix .. 'in:' .. to
local oldest = whole(machine_time() - kept)
for place = 4, #ARGV do
    redis.call('XADD', inbox, 'MINID', '~', oldest, '*', 'by', lease, 'said', ARGV[place])
end
redis.call('PEXPIRE', inbox, kept)
return 1
""")
