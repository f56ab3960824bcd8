"""One attempt to open a lost device again, on a thread of its own: any call into PortAudio may hang."""

from __future__ import annotations

import threading

from models.errors import DeviceError
from stream.sources.capture import CaptureSpec
from stream.sources.device import DeviceSource
from stream.sources.devices import DeviceInfo, alike, choose
from stream.sources.portaudio import Backend

HANGS_S = 3.0  # longer than letting go and looking anew take


class Attempt:
    """Begun at once.

    Args:
        backend: where devices are.
        device: the one that is lost.
        held: every capture that may not have been let go; that is done first, and the new one is added.
        spec: how to capture again.
        makes: how many devices of that make there were.
    """

    def __init__(
        self, backend: Backend, device: DeviceInfo, held: list[DeviceSource], spec: CaptureSpec, makes: int
    ) -> None:
        self._backend = backend
        self._device = device
        self._held = held
        self._spec = spec
        self._makes = makes
        self._lock = threading.Lock()  # never taken by a signal handler
        self._abandoned = False
        self._waited_s = 0.0
        self.found: DeviceSource | None = None
        self.refusal = ""  # why it did not work, once it is over
        self._over = threading.Event()  # not `Thread.join`: see `DeviceSource.close`
        threading.Thread(target=self._run, name="open audio device", daemon=True).start()

    @property
    def running(self) -> bool:
        """Whether it still tries, perhaps for ever."""
        return not self._over.is_set()

    @property
    def hangs(self) -> bool:
        """Whether it has been waited for longer than it should take."""
        return self._waited_s > HANGS_S

    def wait(self, seconds: float) -> None:
        """Until it is over, but no longer."""
        self._over.wait(seconds)
        self._waited_s += seconds

    def adopt(self, found: DeviceSource) -> DeviceSource:
        """Take the capture over: who abandons the attempt does not close it."""
        self.found = None
        return found

    def abandon(self) -> None:
        """Whatever was opened, or will be, and not adopted is closed."""
        with self._lock:
            self._abandoned = True
        if self.found:
            self.found.close()

    def _run(self) -> None:
        try:
            self.refusal = self._open()
        except Exception as error:  # sounddevice's own errors have no base that is known before it is loaded
            self.refusal = str(error)
        finally:
            self._over.set()

    def _open(self) -> str:
        for capture in self._held:
            capture.close()
        # Looking anew would close them a second time, and wait for ever.
        if not all(capture.closed_cleanly for capture in self._held):
            return "the driver hangs and does not let go: reconnect the device, or start anew"
        self._held.clear()
        devices = self._backend.devices(anew=True)
        there = alike(devices, self._device)
        if not there:
            return "it is not there: reconnect it"
        if there != self._makes and max(there, self._makes) > 1:
            raise DeviceError(f"{self._makes} device(s) of this make were there, now {there}: reconnect the same one")
        again = DeviceSource(choose(devices, self._device.id), self._spec, self._backend, spoke=True)
        self._held.append(again)
        again.start()
        if again.rate_hz != self._spec.rate_hz:
            again.close()
            return f"it came back at {again.rate_hz} Hz, and was at {self._spec.rate_hz} Hz: start anew"
        with self._lock:
            if not self._abandoned:
                self.found = again
                return ""
        again.close()
        return "nobody waits for it any more"
