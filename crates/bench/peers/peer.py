"""Outside optimisers behind a line protocol, for `agenttts bench`.

Reads one JSON object per line from standard input and answers each with one line on standard output:

    {"hello": {}}                      -> {"samplers": {NAME: version or null}, "python": "3.11.7"}
    {"new": {"sampler": NAME, "seed": 7, "stages": [{"name": ..., "options": [
        {"option": 3, "model": ..., "temperature": "0.7", "aggregator": ..., "samples": 4}, ...]}],
        "initial": [[3, 0], ...]}}     -> {}          one study ends and the next begins
    {"ask": {}}                        -> {"plan": [3, 0]} or {"done": "why"}
    {"tell": {"plan": [3, 0], "score": 0.7}}      -> {}   the trial's mean score, higher is better
    {"tell": {"plan": [3, 0], "violation": 0.2}}  -> {}   outside the space or its budget, by this share of the budget
    {"tell": {"plan": [3, 0]}}                    -> {}   not tried, for a reason that says nothing of the plan

A plan is one option number per stage. `options` holds those that occur in at least one plan within the budget. Every
answer also has `seconds`, the time spent in the sampler. What goes wrong is answered with {"error": "..."}; nothing but
these answers is written to standard output.
"""

import importlib.metadata
import importlib.util
import json
import logging
import os
import random
import sys
import tempfile
import time
import traceback
import warnings

# NumPy takes seeds of 32 bits.
SEEDS = 2**32


class Stage:
    """A stage's options as parameters: the model, then what depends on it."""

    def __init__(self, told):
        self.name = told["name"]
        self.options = told["options"]
        if not self.options:
            raise ValueError(f"stage {self.name!r} has no options")
        self.models = self._distinct("model")
        self.temperatures = self._distinct("temperature")
        self.aggregators = self._distinct("aggregator")
        self.counts = {m: sorted({o["samples"] for o in self.options if o["model"] == m}) for m in self.models}
        self.most_counts = max(len(counts) for counts in self.counts.values())

    def _distinct(self, field):
        return list(dict.fromkeys(o[field] for o in self.options))

    def of(self, number):
        """The option of that number."""
        for option in self.options:
            if option["option"] == number:
                return option
        raise ValueError(f"option {number} of stage {self.name!r} was not told")

    def nearest(self, model, temperature, aggregator, samples):
        """The number of the option that is most like these values: of the same model in any case."""

        def distance(o):
            return (o["temperature"] != temperature, abs(o["samples"] - samples), o["aggregator"] != aggregator)

        return min((o for o in self.options if o["model"] == model), key=distance)["option"]


class Optuna:
    """What Optuna's samplers share."""

    package = "optuna"

    def __init__(self, stages, seed):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna = optuna
        self.stages = stages
        self.study = optuna.create_study(direction="maximize", sampler=self.sampler(optuna, seed))

    def sampler(self, optuna, seed):
        raise NotImplementedError

    def suggest(self, trial, stage):
        raise NotImplementedError

    def parameters(self, stage, option):
        raise NotImplementedError

    def _choose(self, trial, name, values):
        return values[0] if len(values) == 1 else trial.suggest_categorical(name, values)

    def ask(self):
        trial = self.study.ask()
        return trial, [self.suggest(trial, stage) for stage in self.stages]

    def adopt(self, plan):
        """The plan as the study's next trial."""
        wanted = {}
        for stage, number in zip(self.stages, plan):
            wanted.update(self.parameters(stage, stage.of(number)))
        self.study.enqueue_trial(wanted)
        trial, _ = self.ask()
        return trial

    def tell(self, trial, score, violation):
        if score is None and violation is None:
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
            return
        # A trial without constraints counts as infeasible in a study that has some.
        trial.set_constraint("budget", -1.0 if violation is None else max(violation, 1e-9))
        # The score of an infeasible trial is looked at by no sampler, but it must be a number.
        self.study.tell(trial, 0.0 if score is None else score)


class Tpe(Optuna):
    """TPE, multivariate and grouped, samples as parameters conditional on the model."""

    def sampler(self, optuna, seed):
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)

    def suggest(self, trial, stage):
        model = self._choose(trial, f"{stage.name}.model", stage.models)
        temperature = self._choose(trial, f"{stage.name}.temperature", stage.temperatures)
        mine = [o for o in stage.options if o["model"] == model and o["temperature"] == temperature]
        counts = stage.counts[model]
        if len({o["samples"] for o in mine}) > 1:
            samples = counts[trial.suggest_int(f"{stage.name}.samples[{model}]", 0, len(counts) - 1)]
        else:
            samples = (mine[0] if mine else stage.options[0])["samples"]
        aggregator = stage.aggregators[0]
        if samples > 1:
            aggregator = self._choose(trial, f"{stage.name}.aggregator", stage.aggregators)
        return stage.nearest(model, temperature, aggregator, samples)

    def parameters(self, stage, option):
        model = option["model"]
        return {
            f"{stage.name}.model": model,
            f"{stage.name}.temperature": option["temperature"],
            f"{stage.name}.samples[{model}]": stage.counts[model].index(option["samples"]),
            f"{stage.name}.aggregator": option["aggregator"],
        }


class Gp(Optuna):
    """A Gaussian process. It knows no conditional parameters, so samples are one level per stage, which every model
    stretches over the counts that it can afford."""

    def sampler(self, optuna, seed):
        return optuna.samplers.GPSampler(seed=seed)

    def suggest(self, trial, stage):
        model = self._choose(trial, f"{stage.name}.model", stage.models)
        temperature = self._choose(trial, f"{stage.name}.temperature", stage.temperatures)
        aggregator = self._choose(trial, f"{stage.name}.aggregator", stage.aggregators)
        counts, top = stage.counts[model], stage.most_counts - 1
        level = trial.suggest_int(f"{stage.name}.level", 0, top) if top else 0
        index = round(level * (len(counts) - 1) / top) if top else 0
        return stage.nearest(model, temperature, aggregator, counts[index])

    def parameters(self, stage, option):
        counts, top = stage.counts[option["model"]], stage.most_counts - 1
        index = counts.index(option["samples"])
        return {
            f"{stage.name}.model": option["model"],
            f"{stage.name}.temperature": option["temperature"],
            f"{stage.name}.aggregator": option["aggregator"],
            f"{stage.name}.level": round(index * top / (len(counts) - 1)) if len(counts) > 1 else 0,
        }


class OnlyPlan:
    """Where there is nothing to choose, no sampler is needed, and some fail."""

    def __init__(self, stages):
        self.plan = [stage.options[0]["option"] for stage in stages]

    def ask(self):
        return None, self.plan

    def adopt(self, plan):
        return None

    def tell(self, trial, score, violation):
        pass


class Smac:
    """SMAC3 with random forests, in its usual setting for noisy scores: it tries good plans again."""

    package = "smac"
    # As many as Optuna draws before its model is used.
    initial = 10

    def __init__(self, stages, seed):
        import ConfigSpace
        from smac import HyperparameterOptimizationFacade as Facade
        from smac import Scenario
        from smac.main.exceptions import ConfigurationSpaceExhaustedException
        from smac.runhistory import StatusType, TrialInfo, TrialValue

        logging.getLogger("smac").setLevel(logging.ERROR)
        self.exhausted = (StopIteration, ConfigurationSpaceExhaustedException)
        self.info, self.value, self.status = TrialInfo, TrialValue, StatusType
        self.config, self.stages, self.names = ConfigSpace.Configuration, stages, {}
        self.space = ConfigSpace.ConfigurationSpace(seed=seed)
        for index, stage in enumerate(stages):
            self._add(ConfigSpace, index, stage)
        # SMAC writes its history to a folder; nobody reads it here.
        self.folder = tempfile.TemporaryDirectory(prefix="agenttts-smac-")
        scenario = Scenario(
            self.space,
            output_directory=self.folder.name,
            deterministic=False,
            seed=seed % (2**31),
            n_trials=10**6,
            crash_cost=1.0,
        )
        design = Facade.get_initial_design(scenario, n_configs=self.initial)
        self.smac = Facade(scenario, None, initial_design=design, overwrite=True, logging_level=False)

    def _add(self, space, index, stage):
        """The parameters of a stage. Values are numbered: names of models may hold anything."""
        model = None
        if len(stage.models) > 1:
            model = space.CategoricalHyperparameter(f"model{index}", list(range(len(stage.models))))
            self.space.add(model)
        for field, values in (("temperature", stage.temperatures), ("aggregator", stage.aggregators)):
            if len(values) > 1:
                self.space.add(space.CategoricalHyperparameter(f"{field}{index}", list(range(len(values)))))
        for number, name in enumerate(stage.models):
            top = len(stage.counts[name]) - 1
            if top:
                samples = space.UniformIntegerHyperparameter(f"samples{index}.{number}", 0, top)
                self.space.add(samples)
                if model is not None:
                    self.space.add(space.EqualsCondition(samples, model, number))

    def ask(self):
        try:
            info = self.smac.ask()
        except self.exhausted:
            return None, None
        return info, [self._option(dict(info.config), i, stage) for i, stage in enumerate(self.stages)]

    def _option(self, config, index, stage):
        number = int(config.get(f"model{index}", 0))
        model = stage.models[number]
        temperature = stage.temperatures[int(config.get(f"temperature{index}", 0))]
        aggregator = stage.aggregators[int(config.get(f"aggregator{index}", 0))]
        samples = stage.counts[model][int(config.get(f"samples{index}.{number}", 0))]
        return stage.nearest(model, temperature, aggregator, samples)

    def adopt(self, plan):
        values = {}
        for index, (stage, number) in enumerate(zip(self.stages, plan)):
            option = stage.of(number)
            model = stage.models.index(option["model"])
            values[f"model{index}"] = model
            values[f"temperature{index}"] = stage.temperatures.index(option["temperature"])
            values[f"aggregator{index}"] = stage.aggregators.index(option["aggregator"])
            values[f"samples{index}.{model}"] = stage.counts[option["model"]].index(option["samples"])
        known = set(self.space)
        config = self.config(self.space, values={k: v for k, v in values.items() if k in known})
        # Told before SMAC was asked for the first time; it takes this seed over as the first of its own.
        return self.info(config, seed=0)

    def tell(self, info, score, violation):
        if score is None:
            value = self.value(cost=1.0, status=self.status.CRASHED)
        else:
            value = self.value(cost=1.0 - score, status=self.status.SUCCESS)
        self.smac.tell(info, value, save=False)


SAMPLERS = {"optuna-tpe": Tpe, "optuna-gp": Gp, "smac": Smac}
NEEDS = {"optuna-tpe": ["optuna"], "optuna-gp": ["optuna", "scipy", "torch"], "smac": ["smac"]}


class Study:
    """One study: a sampler, the initial plans that it begins with, and the trial that is being run."""

    def __init__(self, told):
        name = told["sampler"]
        if name not in SAMPLERS:
            raise ValueError(f"there is no sampler {name!r}, only {', '.join(SAMPLERS)}")
        # All samplers bring it. What draws from the global numbers must not depend on the study before.
        import numpy

        random.seed(told["seed"])
        numpy.random.seed(told["seed"] % SEEDS)
        stages = [Stage(s) for s in told["stages"]]
        choice = any(len(stage.options) > 1 for stage in stages)
        self.sampler = SAMPLERS[name](stages, told["seed"] % SEEDS) if choice else OnlyPlan(stages)
        self.initial = list(reversed(told.get("initial", [])))
        self.pending = None

    def ask(self, _):
        if self.pending is not None:
            raise ValueError("asked twice without being told in between")
        if self.initial:
            plan = self.initial.pop()
            trial = self.sampler.adopt(plan)
        else:
            trial, plan = self.sampler.ask()
        if plan is None:
            return {"done": "every configuration was tried"}
        self.pending = (trial, plan)
        return {"plan": plan}

    def tell(self, told):
        if self.pending is None or self.pending[1] != told["plan"]:
            raise ValueError(f"told of plan {told['plan']}, which was not asked for")
        trial, _ = self.pending
        self.pending = None
        self.sampler.tell(trial, told.get("score"), told.get("violation"))
        return {}


def hello():
    """The samplers that can be used, with the versions of their packages."""

    def version(name):
        if any(importlib.util.find_spec(package) is None for package in NEEDS[name]):
            return None
        package = SAMPLERS[name].package
        return f"{package} {importlib.metadata.version(package)}"

    return {"samplers": {name: version(name) for name in SAMPLERS}, "python": sys.version.split()[0]}


def serve(requests, answers):
    """Answers requests until there are no more."""
    study = None
    for line in requests:
        start = time.perf_counter()
        try:
            [(verb, told)] = json.loads(line).items()
            if verb == "hello":
                answer = hello()
            elif verb == "new":
                # The last study goes first, so that two never lie in memory.
                study = None
                study = Study(told)
                answer = {}
            elif study is None:
                raise ValueError(f"{verb!r} before a study was begun")
            else:
                answer = {"ask": study.ask, "tell": study.tell}[verb](told)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answer["seconds"] = time.perf_counter() - start
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def main():
    # A sampler that prints must not break the protocol: what it prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
