#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# Unmodified programs on Sluice by `sluice run`, inside the VM: servers and
# clients that know nothing of it, on the native wire and as real TCP, where
# the peer is the kernel's TCP. Counters say which of the two was on Sluice.
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from network import ROOT, counter, counters, sluice  # noqa: E402
from network import run as command  # noqa: E402
from runner import check, equal, run, test, until  # noqa: E402
from transport import ports  # noqa: E402

SLUICE = os.path.join(ROOT, "build", "userspace", "sluice")
KILOBYTES = 8192
KERNEL, NATIVELY, REALLY, MULTIPATH = 0, 253, 257, 262


class Way:
    """How the server and the client of a pair of programs are started."""

    def __init__(self, name, server, client):
        self.name, self.server, self.client = name, server, client

    def wire_of_server(self):
        """None: kernel TCP serves."""
        return self.server and ("tcp" if "--tcp" in self.server else "native")

    def asks_by_sluice(self):
        return bool(self.client)


class Pair:
    """Protocols that a server and a client name by themselves; 0: kernel TCP."""
    server = client = ()

    def __init__(self, serving, asking):
        self.name, self.serving, self.asking = f"{serving}-{asking}", serving, asking

    def wire_of_server(self):
        return {NATIVELY: "native", REALLY: "tcp"}.get(self.serving)

    def asks_by_sluice(self):
        return self.asking != KERNEL


NATIVE = Way("native", (SLUICE, "run", "--native"), (SLUICE, "run", "--native"))
REAL = Way("real-tcp", (SLUICE, "run", "--tcp"), (SLUICE, "run", "--tcp"))
SERVES = Way("serves-kernel-tcp", (SLUICE, "run", "--tcp"), ())
ASKS = Way("asks-kernel-tcp", (), (SLUICE, "run", "--tcp"))
WAYS = (NATIVE, SERVES, ASKS)


@contextlib.contextmanager
def started(way, *words, port, **more):
    """A server that listens by now; ended at the end."""
    process = subprocess.Popen((*way.server, *words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               text=True, start_new_session=True, **more)
    try:
        end = time.monotonic() + 60     # an emulated processor takes its time over imports
        while not listening(way, port):
            check(process.poll() is None, f"{words[0]} ended: {process.stderr.read() if process.poll() else ''}")
            check(time.monotonic() < end, f"{words[0]} never listened")
            time.sleep(0.1)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stderr.close()


def listening(way, port):
    wire = way.wire_of_server()
    if wire:
        return f":{port} " in sluice("ss", "-lH", f"sport = :{port} and wire = {wire}").stdout
    return f":{port} " in command("ss", "-tlnH", f"sport = :{port}").stdout


def ask(way, *words, **more):
    """What a client says that connects; it and its server have to be where the way says."""
    before = counters()
    out = command(*way.client, *words, **more).stdout
    for name, ours in (("active_opens", way.asks_by_sluice()), ("passive_opens", way.wire_of_server())):
        grown = counter(name) - before[name]
        check(bool(grown) == bool(ours), f"{words[0]}: {name} grew by {grown}")
    return out


@contextlib.contextmanager
def website():
    """A directory with a page and a large file; the file's sum."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        with open(os.path.join(directory, "index.html"), "w") as page:
            page.write("<p>It works.</p>\n")
        data = os.urandom(1 << 20)
        digest = hashlib.sha256()
        with open(os.path.join(directory, "large"), "wb") as large:
            for _ in range(KILOBYTES >> 10):
                large.write(data)
                digest.update(data)
        yield directory, digest.hexdigest()


NGINX = """
daemon off; worker_processes 2; pid {directory}/pid; error_log {directory}/errors;
events {{ }}
http {{
    access_log off; sendfile on; keepalive_timeout 20;
    client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
    uwsgi_temp_path {directory}; scgi_temp_path {directory};
    server {{ listen 127.0.0.1:{port}; listen [::1]:{port}; root {directory}; }}
}}
"""


@contextlib.contextmanager
def nginx(way, directory, port):
    configuration = os.path.join(directory, "nginx.conf")
    with open(configuration, "w") as file:
        file.write(NGINX.format(directory=directory, port=port))
    with started(way, "/usr/sbin/nginx", "-e", "stderr", "-c", configuration, port=port):
        yield


@test(*WAYS, REAL)
def nginx_and_curl(way):
    port = next(ports)
    with website() as (directory, digest):
        with nginx(way, directory, port):
            for host in ("127.0.0.1", "[::1]"):
                url = f"http://{host}:{port}"
                equal(ask(way, "curl", "-sS", url + "/"), "<p>It works.</p>\n")
            # One connection for three requests.
            once = ("-o", "/dev/null", url + "/")
            again = ask(way, "curl", "-sS", "-w", "%{num_connects} ", *once, *once, *once)
            equal(again.split(), ["1", "0", "0"], "connections made")
            equal(ask(way, "curl", "-sS", "-r", "3-4", url + "/"), "It")
            copy = os.path.join(directory, "copy")
            ask(way, "curl", "-sS", "-o", copy, url + "/large")
            with open(copy, "rb") as file:
                equal(hashlib.file_digest(file, "sha256").hexdigest(), digest)


@contextlib.contextmanager
def sparse(size):
    """A directory with a file whose bytes here and there are at random; the rest takes no memory."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        with open(os.path.join(directory, "large"), "wb") as large:
            large.truncate(size)
            for place in range(0, size - 5000, 10000019):
                os.pwrite(large.fileno(), os.urandom(5000), place)
        yield directory


@test(SERVES, NATIVE, limit=600)
def nginx_sends_a_gigabyte(way):
    port, size = next(ports), 1 << 30
    with sparse(size) as directory, nginx(way, directory, port):
        before = counter("bytes_out")
        ask(way, "sh", "-c", f"curl -sS http://127.0.0.1:{port}/large | cmp - {directory}/large")
        check(counter("bytes_out") - before > size)


@test(*WAYS)
def python_http_server(way):
    port = next(ports)
    with website() as (directory, digest):
        with started(way, "python3", "-m", "http.server", "-d", directory, "-b", "127.0.0.1", str(port), port=port):
            equal(ask(way, "curl", "-sS", f"http://127.0.0.1:{port}/"), "<p>It works.</p>\n")
            copy = os.path.join(directory, "copy")
            ask(way, "curl", "-sS", "-o", copy, f"http://127.0.0.1:{port}/large")
            with open(copy, "rb") as file:
                equal(hashlib.file_digest(file, "sha256").hexdigest(), digest)


ECHO = """
import asyncio, sys
async def serve(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""
THREADS = """
import socketserver, sys
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""
CLIENT = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
text = b"line\\n" * 20000
import threading
threading.Thread(target=lambda: (s.sendall(text), s.shutdown(socket.SHUT_WR))).start()
got = b""
while part := s.recv(65536):
    got += part
print(got == text, s.proto)
"""


@test(*WAYS)
def python_asyncio_and_socketserver(way):
    for program in (ECHO, THREADS):
        port = next(ports)
        with started(way, "python3", "-c", program, str(port), port=port):
            equal(ask(way, "python3", "-c", CLIENT, str(port)).split()[0], "True")


# What is on its way at the end isn't counted as received, and that can be as much as the buffers hold.
SIZE = "-n", "64M"
IPERF = (SIZE, (*SIZE, "-R"), (*SIZE, "-P", "4"), (*SIZE, "-Z"), ("-t", "1", "--bidir"))


def moved():
    """Bytes that Sluice's sockets have sent and received."""
    now = counters()
    return now["bytes_out"] + now["bytes_in"]


@test(*WAYS, REAL)
def iperf3_in_all_directions(way):
    port = next(ports)
    with started(way, "iperf3", "-s", "-p", str(port), port=port):
        for host, more in (*(("127.0.0.1", more) for more in IPERF), ("::1", IPERF[0])):
            before = moved()
            result = json.loads(ask(way, "iperf3", "-J", "-c", host, "-p", str(port), *more))
            check("error" not in result, f"{more}: {result.get('error')}")
            arrived = [result["end"][name]["bytes"] for name in ("sum_received", "sum_received_bidir_reverse")
                       if name in result["end"]]
            equal(len(arrived), 2 if "--bidir" in more else 1, f"{more}: directions")
            check(min(arrived) > 1 << 20, f"{more}: hardly anything arrived: {arrived}")
            check(moved() - before >= sum(arrived), f"{more}: not all of it by Sluice")


@test(*WAYS)
def redis_and_its_benchmark(way):
    port = next(ports)
    with tempfile.TemporaryDirectory() as directory:
        with started(way, "redis-server", "--port", str(port), "--bind", "127.0.0.1", "::1", "--save", "",
                     "--dir", directory, port=port):
            equal(ask(way, "redis-cli", "-p", str(port), "set", "key", "value").strip(), "OK")
            equal(ask(way, "redis-cli", "-h", "::1", "-p", str(port), "get", "key").strip(), "value")
            table = ask(way, "redis-benchmark", "-p", str(port), "-n", "2000", "-c", "20", "-t", "set,get", "--csv")
            equal(table.count("\n"), 3, table)


@test(*WAYS)
def socat_and_ncat(way):
    port = next(ports)
    with started(way, "socat", "-t30", f"TCP4-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork", "EXEC:cat", port=port):
        equal(ask(way, "ncat", "--send-only", "127.0.0.1", str(port), input="x"), "")
        equal(ask(way, "socat", "-t5", "-", f"TCP4:127.0.0.1:{port}", input="through"), "through")
        equal(ask(way, "ncat", "127.0.0.1", str(port), input="and back"), "and back")


@test(*WAYS)
def ncat_serves(way):
    """It ends a connection when either side of it has ended, so clients leave their end open."""
    port = next(ports)
    with started(way, "ncat", "-l", "-k", "-c", 'read line; echo "$line"', "127.0.0.1", str(port), port=port):
        for _ in range(2):
            equal(ask(way, "ncat", "--no-shutdown", "127.0.0.1", str(port), input="and back\n"), "and back\n")
        equal(ask(way, "socat", "-,ignoreeof", f"TCP4:127.0.0.1:{port}", input="through\n"), "through\n")


WEBHOOKS = """[{
    "id": "echo", "execute-command": "/bin/echo", "include-command-output-in-response": true,
    "pass-arguments-to-command": [{"source": "string", "name": "through"}]
}]"""


@test(NATIVE, SERVES)
def a_program_of_go_serves(way):
    """It has libc and makes its sockets without it: only the kernel can change them."""
    port = next(ports)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(WEBHOOKS)
        file.flush()
        words = "webhook", "-hooks", file.name, "-ip", "127.0.0.1", "-port", str(port)
        if not kernel_hooks_sockets():
            done = command(*way.server, *words, check=False)
            check(done.returncode == 1 and "Go" in done.stderr and "6.6" in done.stderr, done.stderr)
            equal(done.stderr.count("\n"), 1)
            return
        with started(way, *words, port=port):
            for _ in range(2):
                equal(ask(way, "curl", "-sS", f"http://127.0.0.1:{port}/hooks/echo"), "through\n")


@test(*WAYS)
def ssh_copies_a_file(way):
    port = next(ports)
    with website() as (directory, digest):
        for name in ("host", "user"):
            command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(directory, name))
        os.rename(os.path.join(directory, "user.pub"), os.path.join(directory, "authorized"))
        os.makedirs("/run/sshd", exist_ok=True)
        with started(way, "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", str(port),
                     "-h", os.path.join(directory, "host"), "-o", "ListenAddress=127.0.0.1", "-o", "StrictModes=no",
                     "-o", "PidFile=none", "-o", "UsePAM=no", "-o", "PermitRootLogin=yes",
                     "-o", f"AuthorizedKeysFile={directory}/authorized",
                     "-o", "Subsystem=sftp internal-sftp", port=port):
            ask(way, "scp", "-q", "-F", "/dev/null", "-P", str(port), "-i", os.path.join(directory, "user"),
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                f"root@127.0.0.1:{directory}/large", os.path.join(directory, "copy"))
        with open(os.path.join(directory, "copy"), "rb") as file:
            equal(hashlib.file_digest(file, "sha256").hexdigest(), digest)


# ---- the protocol as the third argument of socket() ----

def address_words(port):
    """A struct sockaddr_in without its family, as socat wants it."""
    return f"x{port:04x}x7f000001x0000000000000000"


NAMED_SERVER = """
import asyncio, http.server, socket, socketserver, sys, threading
protocol, port = int(sys.argv[1]), int(sys.argv[2])
async def serve(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def loop():
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    sock.bind(("127.0.0.1", port))
    await (await asyncio.start_server(serve, sock=sock)).serve_forever()
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
class Server(socketserver.ThreadingTCPServer):
    def __init__(self, address):
        super().__init__(address, Echo, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
        self.server_bind()
        self.server_activate()
class Web(http.server.ThreadingHTTPServer):
    def __init__(self, address):
        super().__init__(address, http.server.SimpleHTTPRequestHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
        self.server_bind()
        self.server_activate()
for number, kind in enumerate((Server, Web), 1):
    threading.Thread(target=kind(("127.0.0.1", port + number)).serve_forever, daemon=True).start()
asyncio.run(loop())
"""
NAMED_CLIENT = """
import asyncio, http.client, socket, sys
protocol, port = int(sys.argv[1]), int(sys.argv[2])
def connected(port):    # asyncio's own would ask getaddrinfo(), which knows few protocols
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    sock.connect(("127.0.0.1", port))
    return sock
async def echo(port):
    reader, writer = await asyncio.open_connection(sock=connected(port))
    text = b"line\\n" * 20000
    writer.write(text)
    writer.write_eof()
    print(await reader.read() == text)
asyncio.run(echo(port))
asyncio.run(echo(port + 1))
web = http.client.HTTPConnection("127.0.0.1")
web.sock = connected(port + 2)
web.request("GET", "/")
print(web.getresponse().read() == b"<p>It works.</p>\\n")
"""
PAIRS = (Pair(NATIVELY, NATIVELY), Pair(REALLY, KERNEL), Pair(KERNEL, REALLY))


@test(*PAIRS)
def python_names_the_protocol(pair):
    port = next(ports)
    next(ports), next(ports)
    with website() as (directory, digest):
        with started(pair, "python3", "-c", NAMED_SERVER, str(pair.serving), str(port), port=port, cwd=directory):
            equal(ask(pair, "python3", "-c", NAMED_CLIENT, str(pair.asking), str(port)), "True\n" * 3)


def socats(way, serving, asking):
    port = next(ports)
    with started(way, "socat", "-t30", f"SOCKET-LISTEN:2:{serving}:{address_words(port)},reuseaddr,fork", "EXEC:cat",
                 port=port):
        equal(ask(way, "socat", "-t5", "-", f"SOCKET-CONNECT:2:{asking}:{address_words(port)}", input="through"),
              "through")


@test(*PAIRS, Pair(REALLY, REALLY))
def socat_names_the_protocol(pair):
    socats(pair, pair.serving, pair.asking)


@test(*WAYS)
def multipath_tcp_is_tcp(way):
    """For who asks for it by its number, as Go's servers do; the other end then has none."""
    socats(way, MULTIPATH, MULTIPATH)


# ---- sluice run itself ---------------------------------------------------------------

@test()
def ss_shows_whose_they_are():
    port = next(ports)
    with started(SERVES, "python3", "-m", "http.server", "-b", "127.0.0.1", str(port), port=port) as process:
        out = sluice("ss", "-lp", f"sport = :{port}").stdout
        check(f"pid={process.pid}," in out and "python3" in out, out)


@test()
def algorithm_is_chosen():
    program = "import socket; s = socket.socket(); print(s.getsockopt(6, 13, 16).rstrip(b'\\0').decode())"
    equal(sluice("run", "--cc", "reno", "python3", "-c", program).stdout.strip(), "reno")
    done = sluice("run", "--cc", "nonesuch", "true", check=False)
    equal((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)


@test()
def other_sockets_are_left_alone():
    program = ("import socket as s; o = [s.socket(s.AF_INET, s.SOCK_DGRAM), s.socket(s.AF_UNIX), s.socket(s.AF_INET6)];"
               "print([x.getsockopt(s.SOL_SOCKET, 38) for x in o])")
    equal(sluice("run", "python3", "-c", program).stdout.strip(), "[17, 0, 6]")
    equal(sluice("run", "sh", "-c", "exit 7", check=False).returncode, 7)
    equal(sluice("run", "--cc", "reno", "--", "echo", "--", "-x").stdout, "-- -x\n")


def made(name):
    """What a program that makes sockets in every way (ways.c) is told to be run as."""
    command("make", "-s", "-C", os.path.join(ROOT, "tests", "vm"))
    return os.path.join(ROOT, "build", "vm-programs", name)


def said(libc, syscall, kernel, asked, io_uring="-1 -1 -1 -1"):
    """What it prints."""
    return (f"libc {libc}\nsyscall {syscall}\nkernel {kernel}\nio_uring {io_uring}\n"
            f"asked {asked}\nother 17 17\n")


KERNELS, REFUSED = "6 6 262 262", "-1 -1 -1 -1"


def all_of(protocol):
    return " ".join([str(protocol)] * 4)


def groups():
    return [name for name in os.listdir("/sys/fs/cgroup") if name.startswith("sluice-run.")]


def kernel_hooks_sockets():
    with open("/proc/kallsyms") as symbols:
        return any(line.split()[2] == "update_socket_protocol" for line in symbols)


@test()
def no_socket_is_the_kernels_unnoticed():
    """What can't be changed is refused, by whatever way a socket is made."""
    program = made("ways")
    equal(command(program).stdout, said(KERNELS, KERNELS, KERNELS, 6, KERNELS), "outside")
    for word, protocol in (("--tcp", REALLY), ("--native", NATIVELY)):
        ours = all_of(protocol)
        done = sluice("run", word, program)
        equal((done.stdout, done.stderr), (said(ours, ours, ours if kernel_hooks_sockets() else REFUSED, 6), ""))
    # Without libc, a child of a program that has it.
    ours = all_of(REALLY) if kernel_hooks_sockets() else REFUSED
    asked = REALLY if kernel_hooks_sockets() else -1
    equal(sluice("run", "sh", "-c", f"{program}-static; true").stdout, said(ours, ours, ours, asked))


@test()
def where_it_cannot_be_refused_a_line_says_so():
    program = made("ways")
    powerless = "setpriv", "--bounding-set", "-bpf,-sys_admin,-perfmon,-net_admin"
    ours = all_of(REALLY)
    done = command(*powerless, SLUICE, "run", program)
    equal(done.stdout, said(ours, ours, KERNELS, 6, KERNELS))
    equal(done.stderr.count("\n"), 1, done.stderr)
    check("warning" in done.stderr and "io_uring, Go" in done.stderr, done.stderr)
    equal(groups(), [])
    refused_at_the_start("statically", *powerless, SLUICE, "run", program + "-static")
    with tempfile.TemporaryDirectory() as directory:
        file = os.path.join(directory, "file")
        with open(file, "wb") as other:
            other.write(b"\x7fELF\x01" + bytes(100))
        os.chmod(file, 0o755)
        refused_at_the_start("32 bits", *powerless, SLUICE, "run", file)


def refused_at_the_start(why, *words, status=1):
    done = command(*words, check=False)
    equal((done.returncode, done.stdout, done.stderr.count("\n")), (status, "", 1), done.stderr)
    check(why in done.stderr, done.stderr)


CAPABILITIES = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)    # revision 2, effective: CAP_NET_BIND_SERVICE


@test()
def programs_whose_linker_ignores_the_library():
    """They run with more rights than who starts them."""
    nobody, ours = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"), all_of(REALLY)
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)

        def copy(owner, group, mode, capabilities=b""):
            file = shutil.copy(made("ways"), os.path.join(directory, f"{owner}-{group}-{mode:o}-{len(capabilities)}"))
            os.chown(file, owner, group)
            os.chmod(file, mode)
            if capabilities:
                os.setxattr(file, "security.capability", capabilities)
            return file

        def script(program):
            with open(program + ".sh", "w") as file:
                file.write(f"#!{program}\n")
            os.chmod(program + ".sh", 0o755)
            return program + ".sh"

        for more, why in ((copy(0, 0, 0o4755), "another user"), (copy(0, 0, 0o2755), "another user"),
                          (copy(0, 0, 0o755, CAPABILITIES), "capabilities")):
            for program in (more, script(more)):
                refused_at_the_start(why, *nobody, SLUICE, "run", program)
        for same in (copy(65534, 0, 0o4755), copy(0, 65534, 0o2755)):
            done = command(*nobody, SLUICE, "run", same)
            check(done.stdout.startswith(f"libc {ours}\nsyscall {ours}\n"), done.stdout)
        other = copy(65534, 0, 0o4711)
        if kernel_hooks_sockets():
            check(sluice("run", other).stdout.startswith(f"libc {ours}\n"))
        else:
            refused_at_the_start("another user", SLUICE, "run", other)


@test()
def the_innermost_run_counts():
    program, ours = made("ways"), all_of(NATIVELY)
    for word in ("", "-static") if kernel_hooks_sockets() else ("",):
        out = sluice("run", "--tcp", "--cc", "reno", SLUICE, "run", "--native", program + word).stdout
        equal(out, said(ours, ours, ours if kernel_hooks_sockets() else REFUSED, NATIVELY if word else 6))
    program = "import socket; s = socket.socket(); print(s.getsockopt(6, 13, 16).rstrip(b'\\0').decode())"
    equal(sluice("run", "--cc", "reno", SLUICE, "run", "python3", "-c", program).stdout.strip(), "cubic")


@test()
def sockets_that_libc_does_not_make():
    program = made("ways-static")
    if not kernel_hooks_sockets():
        done = sluice("run", program, check=False)
        check(done.returncode == 1 and "statically" in done.stderr and "6.6" in done.stderr, done.stderr)
        equal(done.stderr.count("\n"), 1)
        return
    real, native = (said(*[all_of(number)] * 3, number) for number in (REALLY, NATIVELY))
    equal(sluice("run", program).stdout, real)
    equal(sluice("run", "--native", program).stdout, native)
    equal(sluice("run", "sh", "-c", f"{program}; {program} | cat").stdout, real * 2, "children")
    equal(command(program).stdout, said(KERNELS, KERNELS, KERNELS, 6, KERNELS), "outside")
    # Two at once.
    with subprocess.Popen([SLUICE, "run", "sh", "-c", "echo; read x"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        equal(sluice("run", "--native", program).stdout, native)
        other.stdin.write(b"\n")
    done = sluice("run", "--cc", "reno", program, check=False)
    check(done.returncode == 1 and "--cc" in done.stderr, done.stderr)


@test()
def what_stays_in_the_background_keeps_its_hook():
    """The group goes with the last."""
    program = made("ways")
    ours = all_of(REALLY)
    with tempfile.NamedTemporaryFile("r") as file:
        out = sluice("run", "sh", "-c", f"(sleep 1; {program} > {file.name}) > /dev/null 2>&1 &").stdout
        equal((out, len(groups())), ("", 1))
        until(lambda: not groups(), 10, groups)
        equal(file.read(), said(ours, ours, ours if kernel_hooks_sockets() else REFUSED, 6))


@test()
def what_cannot_be_run_is_told():
    nobody = "setpriv", "--reuid", "65534", "--clear-groups"    # about whose missing rights nothing is to be said, too
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)

        def file(name, text="", mode=0o755):
            with open(os.path.join(directory, name), "w") as file:
                file.write(text)
            os.chmod(file.name, mode)
            return file.name

        loop, hidden = os.path.join(directory, "loop"), os.path.join(directory, "hidden")
        os.symlink("loop", loop)
        os.mkdir(hidden, 0o700)
        for name, status, why in (("nonesuch", 127, "not found"), ("/nonesuch/x", 127, "not found"),
                                  ("", 127, "not found"), (file("plain", mode=0o644) + "/x", 127, "not found"),
                                  (directory, 126, "Is a directory"), (loop, 126, "Too many levels"),
                                  (hidden + "/x", 126, "Permission denied"),
                                  (file("plain", mode=0o644), 126, "Permission denied")):
            refused_at_the_start(why, *nobody, SLUICE, "run", name, status=status)
        refused_at_the_start("interpreter", SLUICE, "run", file("script", "#!/nonesuch\n"), status=127)
        refused_at_the_start("format", SLUICE, "run", file("empty"), status=126)
        for place in "a b", "a:b":
            os.mkdir(os.path.join(directory, place))
            for part in SLUICE, os.path.join(os.path.dirname(SLUICE), "libsluice-run.so"):
                shutil.copy(part, os.path.join(directory, place))
            refused_at_the_start("LD_PRELOAD", os.path.join(directory, place, "sluice"), "run", "true")
    sluice("set", "real_tcp", "0")
    try:
        done = sluice("run", "true", check=False)
        check(done.returncode == 1 and "real_tcp" in done.stderr, done.stderr)
        equal(sluice("run", "--native", "true").returncode, 0)
    finally:
        sluice("set", "real_tcp", "1")


if __name__ == "__main__":
    run(*sys.argv[1:])
