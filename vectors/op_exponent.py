"""OP_EXPONENT and as much of tapscript as its vectors need, written from docs/OP_EXPONENT.md."""

import primitives

OP_EXPONENT, OP_CHECKSIG = 0xEE, 0xAC
LONGEST, LONGEST_ITEM = 512, 520
CONTROL_BLOCK = 33
OPCODES = {
    "0": 0x00, "IF": 0x63, "NOTIF": 0x64, "ELSE": 0x67, "ENDIF": 0x68, "VERIFY": 0x69, "RETURN": 0x6A,
    "2DROP": 0x6D, "2DUP": 0x6E, "3DUP": 0x6F, "DROP": 0x75, "DUP": 0x76, "SWAP": 0x7C, "SIZE": 0x82, "CAT": 0x7E,
    "EQUAL": 0x87, "EQUALVERIFY": 0x88, "NOT": 0x91, "SHA256": 0xA8, "HASH160": 0xA9, "EXPONENT": OP_EXPONENT,
    "CHECKMULTISIG": 0xAE,
}  # fmt: skip
SUCCESS = {
    80, 98, *range(126, 130), *range(131, 135), *range(137, 139), *range(141, 143), *range(149, 154), *range(187, 255)
}  # fmt: skip


class Failed(Exception):
    """The script's name for why it fails."""


def compact_size(length):
    return 1 if length < 253 else 3 if length < 65536 else 5


def assemble(text):
    return b"".join(map(assemble_word, text.split()))


def assemble_word(word):
    if word.startswith("<"):
        return push(bytes.fromhex(word[1:-1]))
    if word.startswith("0x"):
        return bytes.fromhex(word[2:])
    if word.isdigit() and 1 <= int(word) <= 16:
        return bytes([0x50 + int(word)])
    return bytes([OPCODES[word]])


def push(data):
    if len(data) < 76:
        return bytes([len(data)]) + data
    if len(data) < 256:
        return bytes([76, len(data)]) + data
    return bytes([77]) + len(data).to_bytes(2, "little") + data


def instructions(script):
    """Opcode and pushed data, one after the other."""
    at = 0
    while at < len(script):
        opcode, at = script[at], at + 1
        width = {76: 1, 77: 2, 78: 4}.get(opcode, 0)
        length = opcode if opcode < 76 else int.from_bytes(script[at : at + width], "little")
        at += width
        data = script[at : at + length]
        if len(data) < length:
            raise Failed("BAD_OPCODE")
        at += length
        yield opcode, data


def price(modulus, exponent):
    units = (len(modulus) + 63) // 64
    bits = int.from_bytes(exponent, "big").bit_length()
    return 8 + (bits + 32) * ((4 * units + 1) ** 2 + 24) // 160


def exponentiate(base, exponent, modulus):
    """The result and its price."""
    operands = (base, exponent, modulus)
    if any(len(operand) > LONGEST for operand in operands):
        raise Failed("EXPONENT_OPERAND_SIZE")
    if any(operand[:1] == b"\0" for operand in operands):
        raise Failed("EXPONENT_LEADING_ZERO")
    b, e, m = (int.from_bytes(operand, "big") for operand in operands)
    if m < 3 or m % 2 == 0:
        raise Failed("EXPONENT_MODULUS")
    if b >= m:
        raise Failed("EXPONENT_BASE")
    result = pow(b, e, m)
    return result.to_bytes((result.bit_length() + 7) // 8, "big"), price(modulus, exponent)


class Tapscript:
    """One spending: the stack that it starts with, the script, and whether the rule is in force."""

    def __init__(self, stack, script, enforced):
        self.stack, self.script, self.enforced = list(stack), script, enforced
        items = [*stack, script, bytes(CONTROL_BLOCK)]
        self.budget = 50 + compact_size(len(items)) + sum(compact_size(len(item)) + len(item) for item in items)
        self.paid = 0

    def outcome(self):
        """None, or why it fails."""
        try:
            if self.contains_success():
                return None
            if any(len(item) > LONGEST_ITEM for item in self.stack):
                raise Failed("PUSH_SIZE")
            self.run()
            self.check_end()
        except Failed as failed:
            return str(failed)
        return None

    def contains_success(self):
        for opcode, _ in instructions(self.script):
            if opcode in SUCCESS and not (self.enforced and opcode == OP_EXPONENT):
                return True
        return False

    def run(self):
        branches = []
        for opcode, data in instructions(self.script):
            if len(data) > LONGEST_ITEM:
                raise Failed("PUSH_SIZE")
            taken = all(branches)
            if 0x63 <= opcode <= 0x68:
                self.branch(opcode, branches, taken)
            elif taken:
                self.step(opcode, data)
        if branches:
            raise Failed("UNBALANCED_CONDITIONAL")

    def branch(self, opcode, branches, taken):
        if opcode in (0x63, 0x64):
            value = self.pop() if taken else b""
            if value not in (b"", b"\1"):
                raise Failed("TAPSCRIPT_MINIMALIF")
            branches.append((value == b"\1") == (opcode == 0x63))
        elif not branches:
            raise Failed("UNBALANCED_CONDITIONAL")
        elif opcode == 0x67:
            branches[-1] = not branches[-1]
        else:
            branches.pop()

    def step(self, opcode, data):
        if opcode <= 78:
            self.stack.append(data)
        elif 0x51 <= opcode <= 0x60:
            self.stack.append(bytes([opcode - 0x50]))
        elif opcode == OP_EXPONENT:
            self.exponent()
        elif opcode in (0x6D, 0x75):
            [self.pop() for _ in range(2 if opcode == 0x6D else 1)]
        elif opcode in (0x6E, 0x6F, 0x76):
            self.duplicate({0x6E: 2, 0x6F: 3, 0x76: 1}[opcode])
        elif opcode == 0x7C:
            top, below = self.pop(), self.pop()
            self.stack += [top, below]
        elif opcode == 0x82:
            self.require(1)
            size = len(self.stack[-1])
            self.stack.append(size.to_bytes((size.bit_length() + 8) // 8, "little") if size else b"")
        elif opcode in (0x87, 0x88):
            self.require(2)
            self.stack.append(b"\1" if self.pop() == self.pop() else b"")
            self.verify_top("EQUALVERIFY", opcode == 0x88)
        elif opcode == 0x69:
            self.require(1)
            self.verify_top("VERIFY", True)
        elif opcode == 0x91:
            self.stack.append(b"" if true(self.pop()) else b"\1")
        elif opcode == 0xA8:
            self.stack.append(primitives.sha256(self.pop()))
        elif opcode == 0xA9:
            self.stack.append(primitives.hash160(self.pop()))
        elif opcode == 0x6A:
            raise Failed("OP_RETURN")
        else:
            raise NotImplementedError(f"opcode {opcode:#x}")

    def exponent(self):
        self.require(3)
        modulus, base, exponent = self.pop(), self.pop(), self.pop()
        result, due = exponentiate(base, exponent, modulus)
        self.paid += due
        if self.paid > self.budget:
            raise Failed("TAPSCRIPT_VALIDATION_WEIGHT")
        self.stack.append(result)

    def duplicate(self, count):
        self.require(count)
        self.stack += self.stack[-count:]

    def verify_top(self, name, wanted):
        if wanted and not true(self.stack[-1]):
            raise Failed(name)
        if wanted:
            self.stack.pop()

    def check_end(self):
        if len(self.stack) != 1:
            raise Failed("CLEANSTACK")
        if not true(self.stack[0]):
            raise Failed("EVAL_FALSE")

    def require(self, count):
        if len(self.stack) < count:
            raise Failed("INVALID_STACK_OPERATION")

    def pop(self):
        self.require(1)
        return self.stack.pop()


def true(item):
    return any(item[:-1]) or item[-1:] not in (b"", b"\0", b"\x80")
