# SPDX-License-Identifier: Apache-2.0
#
# Which requests of a record are stale, from the record alone (tests/data/rtl-timing/README.md, section 2): those that
# are presented after cqh == cqt and return the address of a word that was changed before a completed command that
# covers it. Walks the tables as they are when a request is presented, then with each changed word as it was.
#
# Addresses are those of that hardware (section 4, items 5 and 6 [bug]): process contexts are where `structures` says,
# and of a small first-stage page in a large second-stage page some bits come from the wrong place.
PPN = (1 << 44) - 1
IOTINVAL, VMA, GVMA = 1, 0, 1


class Refused(Exception):
    pass


class Memory:
    """All words over time; those of a cycle are there for reads from that cycle on."""

    def __init__(self, record):
        self.initial = {int(address, 16): int(value, 16) for address, value in record["mem_image"].items()}
        self.writes = {}
        self.changes = []  # cycle, address, value before
        fields = record["op_fields"]
        for row in record["ops"]:
            op = dict(zip(fields, row))
            if op["kind"] != "mem_write" or op["start"] < 0:
                continue
            address, value = int(op["addr"], 16), int(op["value"], 16)
            before = self.read(address, op["start"])
            self.writes.setdefault(address, []).append((op["start"], value))
            if value != before:
                self.changes.append((op["start"], address, before))

    def read(self, address, cycle):
        value = self.initial.get(address, 0)
        for when, written in self.writes.get(address, []):
            if when <= cycle:
                value = written
        return value


class Walk:
    """One translation in one cycle. `instead`: words that are to be read otherwise."""

    def __init__(self, record, memory, request, instead=None):
        self.memory, self.cycle, self.instead = memory, request["presented"], instead or {}
        self.read_words = set()
        self.first = self.second = None  # word and log2 of the page, of the leaf
        self.guest_address = None
        self.iova = int(request["iova"], 16)
        device = next((one for one in record["structures"]["devices"] if one["did"] == request["did"]), None)
        if device is None or not self.read(int(device["dc_addr"], 16)) & 1:
            raise Refused
        base = int(device["dc_addr"], 16)
        self.iohgatp, attributes, context = self.read(base + 8), self.read(base + 16), self.read(base + 24)
        if record["rtl"]["InclPC"] and self.read(base) >> 5 & 1:
            attributes, context = self.process(device, request, attributes, context)
        self.gscid = self.iohgatp >> 44 & 0xffff if self.iohgatp >> 60 else None
        self.pscid = attributes >> 12 & 0xfffff if context >> 60 else None
        self.address = self.translate(context)

    def read(self, address):
        self.read_words.add(address)
        return self.instead.get(address, self.memory.read(address, self.cycle))

    def process(self, device, request, attributes, context):
        if request["pid"] is None or context >> 60 == 0:
            return attributes, 0
        entry = next((one["pc_addr"] for one in device["processes"] if one["pid"] == request["pid"]), None)
        if entry is None or not self.read(int(entry, 16)) & 1:
            raise Refused
        return self.read(int(entry, 16)), self.read(int(entry, 16) + 8)

    def leaf(self, root, address, widening, locate):
        """The leaf of a three-level table: its word, log2 of the page, the page."""
        table = root & PPN
        for level in (2, 1, 0):
            shift = 12 + 9 * level
            index = address >> shift & ((1 << (9 + widening * (level == 2))) - 1)
            word = locate((table << 12) + 8 * index)
            entry = self.read(word)
            if not entry & 1:
                raise Refused
            if entry & 0xe:
                return word, shift, (entry >> 10 & PPN) << 12
            table = entry >> 10 & PPN
        raise Refused

    def second_stage(self, guest_address):
        word, size, page = self.leaf(self.iohgatp, guest_address, 2, lambda at: at)
        return word, size, page | guest_address & ((1 << size) - 1)

    def translate(self, context):
        if self.pscid is None:
            self.guest_address = self.iova
        else:
            locate = (lambda at: self.second_stage(at)[2]) if self.gscid is not None else lambda at: at
            word, size, page = self.leaf(context, self.iova, 0, locate)
            self.first = (word, size)
            self.guest_address = page | self.iova & ((1 << size) - 1)
        if self.gscid is None:
            return self.guest_address
        word, size, address = self.second_stage(self.guest_address)
        self.second = (word, size)
        if self.first is not None and self.first[1] < size:
            small = self.first[1]
            number = page >> 12
            wrong = (number >> 12 if small == 12 else number >> 21) << small
            middle = (1 << size) - (1 << small)
            address = address & ~middle | wrong & middle
        return address


def covers(command, walk, word):
    """Does it ask for `word`, a leaf that the walk has read?"""
    low, high = command
    if low & 0x7f != IOTINVAL:
        return False
    address = high >> 10 << 12 if low >> 10 & 1 else None
    guest = low >> 44 & 0xffff if low >> 33 & 1 else None
    if low >> 7 & 7 == VMA:
        return (walk.first is not None and word == walk.first[0] and walk.gscid == guest
                and (not low >> 32 & 1 or low >> 12 & 0xfffff == walk.pscid)
                and (address is None or address >> walk.first[1] == walk.iova >> walk.first[1]))
    return (low >> 7 & 7 == GVMA and walk.second is not None and word == walk.second[0]
            and guest in (None, walk.gscid)
            and (guest is None or address is None or address >> walk.second[1] == walk.guest_address >> walk.second[1]))


def completed_commands(record, memory):
    """Cycle in which the head passes each, and the command; and the cycles in which the queue became empty."""
    registers = record["registers"]
    base, entries = int(registers["cqb_ppn"], 16) << 12, registers["cq_entries"]
    values = {"cqh": 0, "cqt": 0}
    commands, drained = [], []
    for event in sorted((event for event in record["events"] if event[1] in values), key=lambda event: event[0]):
        cycle, name, value = event
        if name == "cqh":
            while values["cqh"] != value:
                at = base + 16 * values["cqh"]
                commands.append((cycle, (memory.read(at, cycle), memory.read(at + 8, cycle))))
                values["cqh"] = (values["cqh"] + 1) % entries
            if value == values["cqt"]:
                drained.append(cycle)
        values[name] = value
    return commands, drained


def stale_requests(record):
    """Indexes of the requests that the rule names."""
    memory = Memory(record)
    commands, drained = completed_commands(record, memory)
    named = []
    for row in record["requests"]:
        request = dict(zip(record["request_fields"], row))
        if request["result"] == "pa" and is_stale(record, memory, commands, drained, request):
            named.append(request["i"])
    return named


def is_stale(record, memory, commands, drained, request):
    address, presented = int(request["pa"], 16), request["presented"]
    try:
        if Walk(record, memory, request).address == address:
            return False
    except Refused:
        pass
    for changed, word, before in reversed(memory.changes):
        if changed >= presented:
            continue
        try:
            walk = Walk(record, memory, request, {word: before})
        except Refused:
            continue
        if word in walk.read_words and walk.address == address:  # the latest change that explains it
            ends = [next((drain for drain in drained if drain >= done), presented)
                    for done, command in commands if done > changed and covers(command, walk, word)]
            return any(end < presented for end in ends)
    return False
