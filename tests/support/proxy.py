"""A TCP proxy on 127.0.0.1 that can misbehave as networks do.

    with Proxy(port) as proxy:
        proxy.stall()    # nothing passes any more and nobody is told; new connections are accepted and hang too
        proxy.resume()   # what was held back goes on
        proxy.cut()      # every connection is reset; new ones work
"""
import selectors
import socket
import struct
import threading

CHUNK = 65536


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Proxy:
    def __init__(self, port, host="127.0.0.1"):
        self.target = (host, port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.wake_us, self.wake = socket.socketpair()
        self.selector.register(self.wake_us, selectors.EVENT_READ)
        self.peers, self.passed, self.connections = {}, 0, 0
        self.flowing = threading.Event()
        self.flowing.set()
        self.ending = self.cutting = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        self.resume()
        self._nudge()
        self.thread.join(10)

    def stall(self):
        self.flowing.clear()
        self._nudge()

    def resume(self):
        self.flowing.set()

    def cut(self):
        self.cutting = True
        self.resume()
        self._nudge()

    def _nudge(self):
        self.wake.send(b"x")

    def _accept(self):
        near, _ = self.listener.accept()
        try:
            far = socket.create_connection(self.target, timeout=5)
        except OSError:
            reset(near)
            return
        self.connections += 1
        for a, b in ((near, far), (far, near)):
            a.settimeout(5)
            self.peers[a] = b
            self.selector.register(a, selectors.EVENT_READ)

    def _drop(self, sock, how=socket.socket.close):
        for each in (sock, self.peers.get(sock)):
            if each in self.peers:
                self.selector.unregister(each)
                del self.peers[each]
                how(each)

    def _pass_on(self, sock):
        try:
            data = sock.recv(CHUNK)
            if data:
                self.peers[sock].sendall(data)
                self.passed += len(data)
                return
        except OSError:
            pass
        self._drop(sock)

    def _run(self):
        while not self.ending:
            for key, _ in self.selector.select():
                if not self.flowing.is_set():
                    break
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj is self.wake_us:
                    self.wake_us.recv(CHUNK)
                elif key.fileobj in self.peers:
                    self._pass_on(key.fileobj)
            self.flowing.wait()
            if self.cutting:
                self.cutting = False
                for each in list(self.peers):
                    self._drop(each, reset)
        for each in list(self.peers):
            self._drop(each)
        for each in (self.listener, self.wake_us, self.wake):
            each.close()
