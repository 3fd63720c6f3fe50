"""`quantumai.record`: a signed manifest for a run that QuantumAI neither scheduled nor ran."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from quantumai.errors import BadInputError
from quantumai.sdk.arguments import home_folder

if TYPE_CHECKING:
    from quantumai.sdk.manifest import Manifest
    from quantumai.sdk.run_record import RunRecord

_Function = TypeVar("_Function", bound=Callable[..., Any])


class record:  # noqa: N801 - it is used as a function is: `with quantumai.record(...)`
    """Record a run of your own: a context manager, and a decorator for a function that runs.

    with quantumai.record(backend=backend, shots=4000) as run:
        result = backend.run(circuit, shots=4000).result()
        run.circuit(circuit)
        run.result(result)
    print(run.manifest.job_id)

    When the block ends, what was handed in is stored, signed and logged. If it raises, nothing is.
    As a decorator it takes the function's first argument (after `self`) as the circuit and what it
    returns as the result, and passes that through.

    `backend`: a backend object, from which only its name and calibration are read, or its name.
    `shots`: checked against every histogram. `seed`: what your simulator was seeded with.
    `em_method`, `em_version`: the mitigation that you did. `details`: further plain data to sign.
    `on_sealed` is called with the manifest. `home`: default `QAI_HOME`.
    """

    def __init__(
        self,
        *,
        backend: Any,
        shots: int | None = None,
        crypto_mode: str = "pqc-required",
        em_method: str = "none",
        em_version: str = "",
        seed: str | int | None = None,
        details: dict[str, Any] | None = None,
        on_sealed: Callable[[Manifest], None] | None = None,
        home: Path | str | None = None,
    ) -> None:
        from quantumai.sdk.run_record import RunRecord

        self._begin = functools.partial(
            RunRecord,
            backend=backend,
            shots=shots,
            crypto_mode=crypto_mode,
            em_method=em_method,
            em_version=em_version,
            seed=seed,
            details={} if details is None else details,
            home=home_folder(home),
        )
        if on_sealed is not None and not callable(on_sealed):
            raise BadInputError(
                "on_sealed is a function that takes the manifest", hint="on_sealed=manifests.append"
            )
        self._begin()  # mistakes are told where they are made, not when a function is called
        self._on_sealed = on_sealed
        self._open: RunRecord | None = None

    def __enter__(self) -> RunRecord:
        if self._open is not None:
            raise BadInputError(
                "this recording has begun already", hint="call quantumai.record once for each run"
            )
        self._open = self._started()
        return self._open

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        run, self._open = self._open, None
        if run is not None and kind is None:
            self._seal(run)

    def __call__(self, function: _Function) -> _Function:
        """Decorate `function`, which may be a coroutine; each call is a recording of its own."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise BadInputError(
                "only a function that returns its result can be recorded",
                hint="use `with quantumai.record(...)` around the run",
            )
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            raise BadInputError(
                f"a {type(function).__name__} is no function that can be recorded",
                hint="decorate a function of your own that takes the circuit",
            ) from None

        def begun(args: Sequence[Any], kwargs: dict[str, Any]) -> RunRecord:
            run = self._started()
            # Before the run, so that what is no circuit costs nothing.
            run.circuit(_first(signature, args, kwargs))
            return run

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def recorded_later(*args: Any, **kwargs: Any) -> Any:
                run = begun(args, kwargs)
                return self._ended(run, await function(*args, **kwargs))

            return recorded_later  # type: ignore[return-value]

        @functools.wraps(function)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            run = begun(args, kwargs)
            return self._ended(run, function(*args, **kwargs))

        return recorded  # type: ignore[return-value]

    def _started(self) -> RunRecord:
        run = self._begin()
        run.require_sealable()
        return run

    def _ended(self, run: RunRecord, result: Any) -> Any:
        run.result(result)
        self._seal(run)
        return result

    def _seal(self, run: RunRecord) -> None:
        manifest = run.seal()
        if self._on_sealed:
            self._on_sealed(manifest)


def _first(signature: inspect.Signature, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The argument that holds the circuit: the first one that is not the object itself."""
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        if name in ("self", "cls"):
            continue
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            return value[0]
        if kind is not inspect.Parameter.VAR_KEYWORD:
            return value
    raise BadInputError("the recorded function was given no circuit", hint="as its first argument")
