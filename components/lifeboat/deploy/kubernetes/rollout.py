"""One rollout: the challenger comes up without traffic, is tried, is judged under traffic, takes over or goes."""

from __future__ import annotations

from collections.abc import Callable

from lifeboat.config.errors import DeployError, LeaseError, LifeboatError
from lifeboat.deploy.kubernetes import manifest
from lifeboat.deploy.kubernetes.analysis import measurement, summary, watch
from lifeboat.deploy.kubernetes.cluster import Cluster, ConflictError, Document
from lifeboat.deploy.kubernetes.lease import Lease
from lifeboat.deploy.kubernetes.manifest import Predictor
from lifeboat.deploy.kubernetes.plan import CANARY, SHADOW, SWITCH, RolloutPlan
from lifeboat.deploy.kubernetes.prometheus import Prometheus
from lifeboat.deploy.kubernetes.routing import wait_until_split
from lifeboat.deploy.kubernetes.waiting import (
    is_unnoticed,
    wait_until_alone,
    wait_until_asleep,
    wait_until_ready,
)
from lifeboat.deploy.measured import MeasuredNote
from lifeboat.deploy.probe import check_golden, compare
from lifeboat.deploy.step import undo
from lifeboat.deploy.timeline import Say
from lifeboat.model.bundle import Bundle
from lifeboat.registry.versions import Version

ATTEMPTS = 20


class Rollout:
    """Brings one version into service.

    Args:
        cluster: the SeldonDeployment.
        template: what it is made from.
        plan: the course.
        prometheus: the judge.
        place: gives the URL of a predictor by name.
        image: of the model server, '' for the template's.
        token: that the model servers may ask for; '' for none.
    """

    def __init__(
        self,
        cluster: Cluster,
        template: Document,
        plan: RolloutPlan,
        prometheus: Prometheus,
        place: Callable[[str], str],
        image: str = "",
        token: str = "",
    ) -> None:
        self._cluster, self._template, self._plan = cluster, template, plan
        self._prometheus, self._place, self._image, self._token = prometheus, place, image, token
        self._lease = Lease(cluster, plan.pace)

    def run(self, bundle: Bundle, version: Version, commit: Callable[[], None], say: Say) -> str:
        """As `lifeboat.deploy.step.Target` says, but gives the name of the predictor that serves."""
        with self._lease.taken(say):
            live = self._cluster.read()
            old = manifest.champion(live)
            if old is None:
                return self._first(bundle, version, commit, say)
            if old.digest == version.digest:
                return self._again(old, bundle, commit, say)
            return self._replace(live, old, bundle, version, commit, say)

    def _first(self, bundle: Bundle, version: Version, commit: Callable[[], None], say: Say) -> str:
        new = self._make(self._template["spec"]["predictors"][0]["name"], version).with_traffic(100)
        try:
            self._put([new.steady()], "", version.digest)
            self._try(new, bundle, say)
            self._split([new], version.digest)
            say(f"version {version.version} has the public port")
            commit()
        except BaseException as error:
            self._put_back(lambda: self._leave_alone(new.asleep(), ""), error, say)
            raise
        return new.name

    def _again(self, old: Predictor, bundle: Bundle, commit: Callable[[], None], say: Say) -> str:
        """The version serves already: what a rollout before left beside it goes, and the alias is brought up to it."""
        parts = [old.with_traffic(100)]
        self._put(parts, old.digest)
        self._try(old, bundle, say)
        self._await_split(parts)
        commit()
        return old.name

    def _replace(
        self,
        live: Document | None,
        old: Predictor,
        bundle: Bundle,
        version: Version,
        commit: Callable[[], None],
        say: Say,
    ) -> str:
        left = manifest.left_behind(live, version.digest)
        new = left or self._make(manifest.other_name(old.name), version).with_traffic(0).unguarded()
        try:
            if left:
                say(f"version {version.version} stands there already, with {new.traffic} % of the traffic: resumed")
            else:
                self._put([old.with_traffic(100), new.steady()], old.digest, version.digest)
            self._try(new, bundle, say)
            compare(self._place(new.name), self._place(old.name), bundle, say, self._token)
            self._judge(old, new, say)
            last = self._take_over(old, new, version, say)
            commit()
        except BaseException as error:
            self._put_back(lambda: self._leave_alone(old.with_traffic(100), old.digest), error, say)
            raise
        self._leave_alone(last.with_traffic(100).guarded(self._template), version.digest)
        say(f"version {old.version} is removed")
        return last.name

    def _try(self, new: Predictor, bundle: Bundle, say: Say) -> None:
        """Waits for a predictor and asks it the golden requests at its own address."""
        wait_until_ready(self._cluster, new, self._plan)
        say(f"version {new.version} is ready at {self._place(new.name)}")
        check_golden(self._place(new.name), bundle, say, self._token)

    def _judge(self, old: Predictor, new: Predictor, say: Say) -> None:
        if self._plan.mode == SHADOW:  # the operator labels a shadow's pods: they are made anew, and again at the end
            self._split([old.with_traffic(100), new.with_traffic(0, shadow=True)], old.digest, new.digest)
            self._watch("as a shadow, with a copy of the traffic,", old, new, say)
        if self._plan.mode == CANARY:
            for percent in (step for step in self._plan.steps if step >= new.traffic):
                shares = [old.with_traffic(100 - percent), new.with_traffic(percent)]
                self._split(shares, old.digest, new.digest)
                self._watch(f"at {percent} %", old, new, say)

    def _watch(self, where: str, old: Predictor, new: Predictor, say: Say) -> None:
        say(f"version {new.version} {where} is watched for {self._plan.window} s")
        who = f"version {new.version} {where}"
        try:
            found = watch(self._prometheus, old.digest, new.digest, self._plan)
        except DeployError as error:
            raise DeployError(f"{who} did not pass: {error}") from error
        measured = measurement(who[:1].upper() + who[1:].rstrip(","), found, self._plan.limits)
        figures = summary(found.champion, found.challenger)
        if found.problem:
            say(MeasuredNote(f"{who} is sent back: {figures}", measured))
            raise DeployError(f"{who} did not pass: {found.problem}")
        say(MeasuredNote(f"{who} passed: {figures}", measured))

    def _take_over(self, old: Predictor, new: Predictor, version: Version, say: Say) -> Predictor:
        """All of the traffic to the new version, with the old one still there; gives the predictor that is to stay.

        With a mesh the weights move. Without one clients know the old predictor's service by name: it is updated in
        place, pod by pod, while the tried one stands by.
        """
        if self._plan.mode == SWITCH:
            last = self._make(old.name, version).with_traffic(100)
            self._put([last, new.with_traffic(0)], version.digest)
            wait_until_ready(self._cluster, last, self._plan)
        else:
            last = new
            self._split([new.with_traffic(100), old.with_traffic(0)], version.digest)
        say(f"version {version.version} has taken over the traffic")
        return last

    def _leave_alone(self, last: Predictor, champion: str) -> None:
        """Only this predictor is left, with all of the traffic."""
        others = [found for found in manifest.predictors(self._cluster.read()) if found.name != last.name]
        for other in others:
            if is_unnoticed(self._cluster, other):
                self._put([last, other.with_traffic(0).asleep()], champion)
                wait_until_asleep(self._cluster, other, self._plan)
        self._put([last], champion)
        if last.is_awake:
            self._await_split([last])
        wait_until_alone(self._cluster, last, self._plan)

    def _make(self, name: str, version: Version) -> Predictor:
        return manifest.predictor(self._template, name, version, self._image)

    def _split(self, parts: list[Predictor], champion: str, challenger: str = "") -> None:
        """Applies predictors that are up, and returns when the traffic is split among them."""
        self._put(parts, champion, challenger)
        self._await_split(parts)

    def _await_split(self, parts: list[Predictor]) -> None:
        if self._plan.mode != SWITCH:
            wait_until_split(self._cluster, parts, self._plan)

    def _put(self, parts: list[Predictor], champion: str, challenger: str = "") -> None:
        """Applies the SeldonDeployment with these predictors, as long as the rollout is ours.

        The operator's status moves the resourceVersion as well: a conflict is read again.
        """
        notes = {manifest.CHAMPION: champion, manifest.CHALLENGER: challenger}
        document = manifest.compose(self._template, self._cluster.name, parts, notes)
        for _ in range(ATTEMPTS):
            live = self._cluster.read()
            # After it was read: what another rollout applies from here on is a conflict.
            self._lease.check()
            if live is None:
                self._create(document)
                return
            document["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
            try:
                self._cluster.apply(document)
            except ConflictError:
                continue
            return
        raise DeployError(f"SeldonDeployment {self._cluster.name} changes all the time, nothing could be applied")

    def _create(self, document: Document) -> None:
        try:
            self._cluster.create(document)
        except ConflictError:
            raise LeaseError(f"it has just made {self._cluster.name}") from None

    @staticmethod
    def _put_back(action: Callable[[], None], error: BaseException, say: Say) -> None:
        if isinstance(error, LifeboatError):
            undo(action, error, say)
        else:
            action()
