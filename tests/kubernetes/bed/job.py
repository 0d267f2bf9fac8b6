"""The pod of the CronJob that rotates keys: a member, and, when that has met others, the command."""

from agents import PATIENCE_SECONDS, wait_until
from localcluster import pods

from bed.flavours import JOB, ROTATION, containers


class RotationJob:
    """`times` take the place of the manifest's: settle="1s", wait="10s"."""

    def __init__(self, bed, **times):
        self.bed = bed
        self.member = bed.create(flavour=JOB)[0]
        bed.wait_ready(self.member)
        self._log_path = bed.new_path("rotate-key", ".log")
        variables = {
            **pods.container_environment(self.member.name, bed.configuration, bed.programs),
            **pods.api_server_links(bed.network.api_server)}
        self._process = self.member.run_container(
            self._command(times), {key: str(value) for key, value in variables.items()},
            self._log_path, with_token=True)

    def _command(self, times):
        program, *words = containers(ROTATION)["rotate"]["command"]
        words = [word for word in words if word.split("=")[0].lstrip("-") not in times]
        return [program.replace("/app", str(self.bed.programs)), *words,
                *(f"-{name}={value}" for name, value in times.items())]

    def said(self):
        return self._log_path.read_text("utf-8")

    def wait_said(self, words):
        def has_said():
            assert words in self.said() or self._process.poll() is None, self.said()
            return words in self.said()
        wait_until(has_said, 70, f"the job says {words!r}")

    def finish(self):
        """The command ends, and then the member. Returns the command's exit status."""
        status = self._process.wait(3 * PATIENCE_SECONDS)
        self.bed.delete([self.member])
        self.bed.all_left([self.member])
        return status
