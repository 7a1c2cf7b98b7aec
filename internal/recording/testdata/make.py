#!/usr/bin/env python3
"""Makes the test vectors: needs Python 3 and the zstd program, and nothing of
kubetape, so that the vectors come from FORMAT.md and not from the code that
they test. Run it in this directory; its output is committed."""
import base64, hashlib, json, struct, subprocess

T0 = "2026-02-09T10:15:%02d.%06dZ"


def t(ms):
    return T0 % (30 + ms // 1000, ms % 1000 * 1000 + 7)


def b64(b):
    return base64.b64encode(b).decode()


def acts(c):
    """Whether a terminal, or a reader of text, may act on a character."""
    return ord(c) < 0x20 or 0x7f <= ord(c) <= 0x9f or c in "\u061c\u200e\u200f\u2028\u2029" or "\u202a" <= c <= "\u202e" or "\u2066" <= c <= "\u206f"


def dump(o):
    """JSON with such characters escaped; json.dumps escapes those below 0x20."""
    s = json.dumps(o, separators=(",", ":"), ensure_ascii=False)
    return "".join("\\u%04x" % ord(c) if acts(c) else c for c in s).encode() + b"\n"


class Recording:
    def __init__(self, id, **meta):
        self.id, self.lines = id, []
        self.sum = {s: [0, 0, 0, hashlib.sha256()] for s in ("stdin", "stdout", "stderr")}
        head = {"v": 1, "id": id, "kind": id.split("_")[0], "observer": "node", "started_at": t(0)}
        self.line({**head, **meta})

    def line(self, o):
        self.lines.append(dump(o))

    def data(self, ms, stream, b, key=None):
        """key: b for base64 although b is text."""
        self.sum[stream][0] += len(b)
        self.sum[stream][3].update(b)
        try:
            value = {"s": b.decode()} if key != "b" else {"b": b64(b)}
        except UnicodeDecodeError:
            value = {"b": b64(b)}
        self.line({"t": t(ms), "d": stream, **value})

    def masked(self, ms, n):
        self.sum["stdin"][1] += n
        self.line({"t": t(ms), "d": "stdin", "masked": n})

    def loss(self, ms, stream, n, why):
        if n > 0:
            self.sum[stream][2] += n
        self.line({"t": t(ms), "d": "loss", "stream": stream, "bytes": n, "why": why})

    def end(self, ms, status, streams, **more):
        totals = {}
        for s in streams:
            n, masked, lost, h = self.sum[s]
            totals[s] = {"bytes": n}
            if masked:
                totals[s]["masked"] = masked
            if lost:
                totals[s]["lost"] = lost
            totals[s]["sha256"] = h.hexdigest()
        self.line({"t": t(ms), "d": "end", "status": status, **more, "streams": totals})

    def save(self, name=None, cuts=(1,), table=True):
        name = name or self.id
        text = b"".join(self.lines)
        open(name + ".jsonl", "wb").write(text)
        frames, at = [], 0
        for cut in [*cuts, len(self.lines)]:
            part = b"".join(self.lines[at:cut])
            at = cut
            if part:
                out = subprocess.run(["zstd", "-q", "-c", "-19", "--check"], input=part, stdout=subprocess.PIPE, check=True).stdout
                frames.append((out, len(part)))
        with open(name + ".jsonl.zst", "wb") as f:
            for out, _ in frames:
                f.write(out)
            if table:
                f.write(struct.pack("<II", 0x184D2A5E, 8 * len(frames) + 9))
                for out, n in frames:
                    f.write(struct.pack("<II", len(out), n))
                f.write(struct.pack("<IBI", len(frames), 0, 0x8F92EAB1))


r = Recording("exec_01jkn3w8zv5q2m7d9b4x6c8e0f", node="node-1", namespace="payments", pod="api-7d4b8f6c9",
              pod_uid="7e0f3a52-9c1b-4f43-8d54-0a4d3f0b1c2d", container="app", runtime="containerd",
              argv=["/bin/sh", "-c", {"b": b64(b"printf '\xff'; exec sh")}], tty=True, cols=120, rows=40, uid=0,
              stdin="masked", flavour="fentry", origin=[{"pid": 4600, "comm": "runc"}, {"pid": 812, "comm": {"b": b64(b"odd\xfe")}}])
r.data(1, "stdout", b"\xff# ")
r.data(900, "stdin", b"read -s x\r", "b")
r.data(901, "stdout", b"read -s x\r\n")
r.masked(2500, 8)
r.data(2600, "stdout", b"\r\n# ")
r.line({"t": t(3000), "d": "resize", "cols": 132, "rows": 43})
r.data(3500, "stdin", b"cat /etc/passwd\r")
r.line({"t": t(3501), "d": "exec", "pid": 4711, "ppid": 4700, "uid": 0, "argv": ["cat", "/etc/passwd"]})
r.line({"t": t(3502), "d": "exec", "pid": 4712, "ppid": 4700, "uid": 1000, "argv": [{"b": b64(b"\x80\x81")}, "", "\u2028<&>\u0001"], "argv_cut": 17})
r.data(3510, "stdout", "root:x:0:0:Wurzel \U0001f955:/root:/bin/sh\r\n".encode())
r.loss(3600, "stdout", 4096, "ring full")
r.line({"t": t(3601), "d": "loss", "bytes": -1, "why": "process events: ring full"})
r.line({"t": t(3700), "d": "exit", "pid": 4711, "exit_code": 0})
r.line({"t": t(3701), "d": "exit", "pid": 4712, "signal": 9})
r.line({"t": t(3800), "d": "resume", "why": "recorder was restarted"})
r.data(3900, "stdin", b"\x04")
r.end(4000, "lossy", ["stdin", "stdout"], exit_code=0)
r.save(cuts=(1, 8, len(r.lines) - 1))

r = Recording("exec_01jkn3xpppes00000000000000", argv=["tar", "x"], tty=False, stdin="full", stdin_kind="pipe", stdout_kind="pipe", stderr_kind="pipe")
r.data(10, "stdin", bytes(range(256)) * 3)
r.data(20, "stdout", bytes(range(255, -1, -1)))
r.data(20, "stderr", b"tar: short read\n", "b")
r.data(30, "stdout", b"")
r.end(50, "complete", ["stdin", "stdout", "stderr"], exit_code=2)
r.save(cuts=())

r = Recording("shell_01jkn3xt0rn000000000000000", peer="192.0.2.7:50022", user="root", tty=True, cols=80, rows=24)
r.data(10, "stdout", b"node-1:~# ")
r.end(10, "torn", ["stdin", "stdout"], why="the recorder stopped")
r.save()

r = Recording("attach_01jkn3xcut0000000000000000", tty=True)
r.data(10, "stdout", b"first frame\r\n", "b")
r.data(20, "stdout", b"second frame\r\n")
r.save(cuts=(1, 2), table=False)

r = Recording("exec_01jkn3xfvtvre000000000000000", tty=True, invented_later={"a": [1, None]})
r.line({"t": t(5), "d": "mood", "level": 0.5})
r.line({"t": t(6), "b": b64(b"hi"), "later": True, "d": "stdout"})
r.sum["stdout"][0] += 2
r.sum["stdout"][3].update(b"hi")
r.end(7, "complete", ["stdin", "stdout"])
r.save()

# All that a string can hold, and how else JSON may spell it.
r = Recording("exec_01jkn3xtext0000000000000000", tty=False, stdin="full")
r.data(10, "stdout", "".join(map(chr, range(0x0, 0x100))).encode())
r.data(20, "stdout", "\u061b\u061c\u200d\u200e\u200f\u2028\u2029\u202e\u2066\u206f\ufeff\ufffd\ufffe\uffff\U0001f955\U0010ffff".encode())
r.data(30, "stdout", b"as base64", "b")
r.data(40, "stdout", "\u00e9".encode()[:1])
r.data(40, "stdout", "\u00e9".encode()[1:])
r.data(50, "stdin", b"")
spelled = "/\u00e9\U0001f955\b\f\x7f\x1b".encode()
r.data(60, "stdout", spelled)
r.lines[-1] = r.lines[-1][:r.lines[-1].index(b'"s"')] + b'"s":"\\/\\u00E9\\ud83E\\udd55\\b\\f\x7f\\u001B"}\n'
assert json.loads(r.lines[-1])["s"].encode() == spelled
r.end(70, "complete", ["stdin", "stdout", "stderr"], exit_code=0)
r.save()

for name, value in ("b0th", '"s":"hi","b":"aGk="'), ("ha1f", r'"s":"\ud83e"'):
    r = Recording("exec_01jkn3x" + name + "000000000000000", tty=True)
    r.line({"t": t(5), "d": "stdout", "s": "hi"})
    r.lines[-1] = r.lines[-1].replace(b'"s":"hi"', value.encode())
    r.sum["stdout"][0], r.sum["stdout"][3] = 2, hashlib.sha256(b"hi")
    r.end(7, "complete", ["stdin", "stdout"])
    r.save()

r = Recording("exec_01jkn3xvers10n20000000000000")
r.lines[0] = r.lines[0].replace(b'"v":1', b'"v":2')
r.end(7, "complete", ["stdin", "stdout"])
r.save()

r = Recording("exec_01jkn3xf0rged00000000000000a", tty=True)
r.data(10, "stdout", b"what was shown")
r.end(20, "complete", ["stdin", "stdout"])
r.lines[1] = r.lines[1].replace(b"shown", b"SHOWN")
r.save()

r = Recording("exec_01jkn3xback0000000000000000b", tty=True)
r.data(20, "stdout", b"later", "b")
r.data(10, "stdout", b"earlier")
r.end(30, "complete", ["stdin", "stdout"])
r.save()

with open("exec_a1b2c3.jsonl", "w") as f:  # the plain form
    f.write('{"t":"2026-02-09T10:15:30.001Z","d":"stdin","b":"bHMgLWxhCg=="}\n')
    f.write('{"t":"2026-02-09T10:15:30.050Z","d":"stdout","b":"dG90YWwgMjQK"}\n')
