"""Jobs that a call starts at a target, as they are configured: how to ask after them, find, resume and cancel them."""

from datetime import timedelta
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gateway.core.duration import Duration
from gateway.core.template import Expression, Template, Tree, sees
from gateway.targets.request import SEEN, HeaderName, Method, Request, check_form, check_header, check_url

JOB_SEEN = (*SEEN, "started")

_JobTemplate = Annotated[Template, sees(*JOB_SEEN)]
_JobTree = Annotated[Tree, sees(*JOB_SEEN)]
_JobExpression = Annotated[Expression, sees(*JOB_SEEN, "response")]


class Asking(Request):
    """A request beside the call itself; it carries no payload, and the target's headers where it goes to its host."""

    sends_payload: ClassVar[bool] = False

    method: Method = Field("GET", description="Of the request.")
    url: Annotated[_JobTemplate, AfterValidator(check_url)] = Field(description="Where it goes: http:// or https://.")
    headers: dict[HeaderName, Annotated[_JobTemplate, AfterValidator(check_header)]] = Field(
        {}, description="Beside the target's own, which are sent where the host is the same."
    )
    json_body: _JobTree | None = Field(None, alias="json", description="Body: any value, as JSON.")
    form: Annotated[_JobTree, AfterValidator(check_form)] | None = Field(None, description="Body: an HTML form.")
    body: _JobTemplate | None = Field(None, description="Body: this text.")


class Ready(Asking):
    """Asked before each start; a target that is not ready counts as not reached."""

    when: _JobExpression | None = Field(None, description="Must hold; sees `response`. Without it: any status 2xx.")


class Find(Asking):
    """Asked before a job is started again: an attempt that broke off may have started it."""

    id: Annotated[Template, sees(*JOB_SEEN, "response")] = Field(
        description="What becomes `started.json.id`; where it is empty or fails, there is no such job."
    )


class Poll(Asking):
    """How a job is followed to its end."""

    every: Duration = Field(timedelta(seconds=5), ge=timedelta(milliseconds=10), description="Pause between looks.")
    succeeded: _JobExpression = Field(description="Holds when the job is done.")
    failed: _JobExpression | None = Field(None, description="Holds when it has failed; looked at first.")
    reason: Annotated[Template, sees(*JOB_SEEN, "response")] | None = Field(
        None, description="What is said of a failed job."
    )
    progress: Annotated[Tree, sees(*JOB_SEEN, "response")] | None = Field(
        None, description="{current, total, percent} of the job, as far as it tells."
    )
    errors: int = Field(10, ge=0, description="Looks in a row that may fail before the attempt gives up.")
    find: Find | None = None


class Readiness(BaseModel):
    """The key of a target that is asked whether it is ready."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ready: Ready | None = None

    @property
    def asked(self) -> list[Expression | Template | Tree]:
        """All that is rendered or evaluated beside the call."""
        if self.ready is None:
            return []
        return [*self.ready.templates, *([self.ready.when] if self.ready.when else [])]


class Following(Readiness):
    """The keys of a target whose calls start jobs."""

    poll: Poll | None = Field(None, description="The answer says that a job has begun: follow it to its end.")
    cancel: Asking | None = Field(None, description="Ends the job when its run is cancelled.")
    resume: Asking | None = Field(None, description="Asked for by a retry, instead of a new start.")

    @model_validator(mode="after")
    def _check_poll(self) -> Self:
        for name in ("cancel", "resume"):
            if getattr(self, name) is not None and self.poll is None:
                raise ValueError(f"{name} needs poll: without it no job is known")
        return self

    @property
    def follows(self) -> bool:
        """Whether its calls start jobs that go on, and are followed."""
        return self.poll is not None

    @property
    def asked(self) -> list[Expression | Template | Tree]:
        """All that is rendered or evaluated beside the call."""
        poll = self.poll
        find = poll and poll.find
        requests = [request for request in (poll, find, self.cancel, self.resume) if request]
        looks = (poll.succeeded, poll.failed, poll.reason, poll.progress, find and find.id) if poll else ()
        templates = [template for request in requests for template in request.templates]
        return [*super().asked, *templates, *(look for look in looks if look)]
