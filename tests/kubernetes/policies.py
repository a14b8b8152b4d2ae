"""Evaluates the admission policies of examples/kubernetes without a cluster, and reads all YAML of examples and pages.

    python3 -m venv VENV && VENV/bin/pip install -r tests/kubernetes/requirements.txt
    VENV/bin/python tests/kubernetes/policies.py

- The validating policies, unchanged, over pods.yaml: each pod as it is, and as the template of what makes pods; and over
  the examples, which they let pass.
- The mutating ones over mutated.yaml, in their parts: conditions, variables, and what they apply. Here `Object.x{...}` is a
  map, and what transformList does is done by this test. Only a cluster shows how an API server merges it.
"""

import copy
import re
import sys
from pathlib import Path

import yaml
from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples"
POLICIES = EXAMPLES / "kubernetes" / "policies"

# The lists of a pod that are merged by a key, and are not replaced.
MERGED_BY = {"containers": "name", "initContainers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath"}


class Failures:
    """What went wrong, and how much was looked at."""

    def __init__(self):
        self.checks = 0
        self.said = []

    def expect(self, right, what):
        self.checks += 1
        if not right:
            self.said.append(what)


class Wrong(Exception):
    """An expression that cannot be evaluated."""


class Cel:
    """Expressions over these names, each compiled once."""

    def __init__(self, *names):
        self.env = cel.NewEnv(variables={name: cel.Type.DYN for name in names}, extensions=[ext_strings.ExtStrings()])
        self.compiled = {}

    def evaluate(self, expression, values):
        if expression not in self.compiled:
            self.compiled[expression] = self.env.compile(expression)
        value = self.compiled[expression].eval(data=values)
        if value.type().name() == "ERROR":
            raise Wrong(value.plain_value())
        return value.plain_value()


ADMISSION = Cel("object", "oldObject", "request", "variables")


def variables(policy, values):
    """A policy's variables, each evaluated with those before it."""
    known = {}
    for variable in policy["spec"].get("variables", []):
        known[variable["name"]] = ADMISSION.evaluate(variable["expression"], values | {"variables": known})
    return known


def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def policy_of(name):
    """A policy and its binding."""
    policy, binding = documents(POLICIES / name)
    assert binding["spec"]["policyName"] == policy["metadata"]["name"], name
    return policy, binding


def matches(policy, values):
    return all(ADMISSION.evaluate(condition["expression"], values) for condition in policy["spec"].get("matchConditions", []))


def selects(policy, pod):
    wanted = policy["spec"]["matchConstraints"].get("objectSelector", {}).get("matchLabels", {})
    return wanted.items() <= pod["metadata"].get("labels", {}).items()


# Validating policies


def denied(policy, thing, former=None):
    """The messages of the validations that fail."""
    values = {"object": thing, "oldObject": former, "request": {"operation": "UPDATE" if former else "CREATE"}}
    if not matches(policy, values):
        return []
    values["variables"] = variables(policy, values)
    messages = []
    for validation in policy["spec"]["validations"]:
        if ADMISSION.evaluate(validation["expression"], values) is not True:
            messages.append(ADMISSION.evaluate(validation["messageExpression"], values))
    return messages


def makers(pod):
    """What makes this pod, one of each kind."""
    template = {"metadata": {"labels": {"app": "app"}}, "spec": pod["spec"]}
    for version, kind in [
        ("v1", "ReplicationController"), ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"), ("batch/v1", "Job"),
    ]:
        yield {"apiVersion": version, "kind": kind, "metadata": pod["metadata"], "spec": {"template": template}}
    job = {"jobTemplate": {"spec": {"template": template}}}
    yield {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": pod["metadata"], "spec": job}


def is_matched(policy, thing, operation):
    """Whether a resource rule names this kind."""
    group, _, version = thing["apiVersion"].rpartition("/")
    resource = thing["kind"].lower() + "s"
    return any(
        group in rule["apiGroups"] and version in rule["apiVersions"] and operation in rule["operations"] and resource in rule["resources"]
        for rule in policy["spec"]["matchConstraints"]["resourceRules"]
    )


def check_table(failures):
    """Each pod of the table, and what would make it: what is said of them, and whether it is refused."""
    refusing, binding = policy_of("fits.yaml")
    failures.expect(binding["spec"]["validationActions"] == ["Deny"], "fits.yaml does not deny")
    warning, binding = policy_of("hints.yaml")
    failures.expect("Deny" not in binding["spec"]["validationActions"], "hints.yaml denies")
    shared = [{v["name"]: v["expression"] for v in policy["spec"]["variables"]} for policy in (refusing, warning)]
    for name in shared[0].keys() & shared[1].keys():
        failures.expect(shared[0][name] == shared[1][name], f"the variable {name} of the two policies differs")

    rules = {}
    pods = documents(HERE / "pods.yaml")
    for pod in pods:
        expected = pod["metadata"]["annotations"]
        for rule in filter(None, expected["expect/rule"].split(",")):
            rules.setdefault(rule, []).append(pod["metadata"]["name"])
        for thing in [pod, *makers(pod)]:
            what = f"{pod['metadata']['name']} as {thing['kind']}"
            for policy in (refusing, warning):
                failures.expect(is_matched(policy, thing, "CREATE"), f"{what}: no rule of {policy['metadata']['name']} names it")
            refused, warned = denied(refusing, thing), denied(warning, thing)
            verdict = "refuse" if refused else "warn" if warned else "none"
            said = refused + warned
            failures.expect(verdict == expected["expect/policy"], f"{what}: {verdict}, not {expected['expect/policy']}: {said}")
            failures.expect(
                len(said) == len(list(filter(None, expected["expect/rule"].split(",")))),
                f"{what}: breaks the rules '{expected['expect/rule']}', and was said: {said}",
            )
            failures.expect(
                any(expected.get("expect/message", "") in message for message in said) or not said, f"{what}: was said: {said}"
            )
            failures.expect(all(message and "\n" not in message for message in said), f"{what}: of more than one line: {said}")
            failures.expect(not any("sleep of 0s" in message for message in said), f"{what}: no sleep is taken off: {said}")
    return pods, rules


def check_updates(failures, pods):
    """What was there before the policy can be scaled; a new template is judged."""
    policy, _ = policy_of("fits.yaml")
    bad = next(pod for pod in pods if pod["metadata"]["annotations"]["expect/policy"] == "refuse")
    good = next(pod for pod in pods if pod["metadata"]["annotations"]["expect/policy"] == "none")
    for thing, other in zip(makers(bad), makers(good)):
        what = f"an update of a {thing['kind']}"
        failures.expect(is_matched(policy, thing, "UPDATE"), f"{what}: no rule of the policy names it")
        scaled = copy.deepcopy(thing)
        scaled["spec"]["replicas"] = 0
        failures.expect(denied(policy, scaled, thing) == [], f"{what} with the same template is refused")
        failures.expect(len(denied(policy, thing, other)) == 1, f"{what} to a bad template is not refused")
        failures.expect(denied(policy, other, thing) == [], f"{what} to a good template is refused")


# Mutating policies


def closing(text, at):
    """Where the bracket that opens at this place is closed."""
    depth, quote = 0, None
    for place in range(at, len(text)):
        letter = text[place]
        if quote:
            quote = None if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
            if depth == 0:
                return place
    raise Wrong(f"a bracket is not closed: {text[at:]}")


def split(text):
    """The parts between the commas that are in no bracket and in no string."""
    parts, at = [""], 0
    while at < len(text):
        if text[at] in "'\"":
            end = text.index(text[at], at + 1)
        else:
            end = closing(text, at) if text[at] in "([{" else at
        if text[at] == ",":
            parts.append("")
        else:
            parts[-1] += text[at : end + 1]
        at = end + 1
    return [part.strip() for part in parts if part.strip()]


def as_map(text):
    """An expression, with each `Object.x{name: value}` and `JSONPatch{name: value}` as `{'name': value}`."""
    found = re.search(r"\b(Object(\.\w+)*|JSONPatch)\{", text)
    if not found:
        return text
    end = closing(text, found.end() - 1)
    fields = [field.partition(":") for field in split(text[found.end() : end])]
    initializer = ", ".join(f"'{name.strip()}': {as_map(value)}" for name, _, value in fields)
    return text[: found.start()] + "{" + initializer + "}" + as_map(text[end + 1 :])


def type_names(text):
    """Each type that the expression makes, and the types of the fields in it: an API server wants them to be alike."""
    for found in re.finditer(r"\b(Object(?:\.\w+)*)\{", text):
        for field in split(text[found.end() : closing(text, found.end() - 1)]):
            name, _, value = field.partition(":")
            for inner in re.findall(r"\bObject(?:\.\w+)*(?=\{)", value)[:1]:
                yield f"{found[1]}.{name.strip()}", inner


def transform(expression, values):
    """`LIST.transformList(i, v, CONDITION, VALUE)`, which this CEL does not have."""
    list_of, _, rest = expression.partition(".transformList(")
    index, item, condition, value = split(rest[: closing("(" + rest, 0) - 1])
    engine = Cel("object", "variables", index, item)
    here = [values | {index: at, item: element} for at, element in enumerate(engine.evaluate(list_of.strip(), values))]
    return [engine.evaluate(as_map(value), each) for each in here if engine.evaluate(condition, each)]


def merged(old, new):
    """An applied configuration in what was there: maps and lists that have a key are merged, all else is replaced."""
    result = copy.deepcopy(old)
    for name, value in new.items():
        if name in MERGED_BY:
            key = MERGED_BY[name]
            items = result.get(name, [])
            for item in value:
                same = next((at for at, one in enumerate(items) if one[key] == item[key]), None)
                if same is None:
                    items.append(merged({}, item))
                else:
                    items[same] = merged(items[same], item)
            if items:
                result[name] = items
        elif isinstance(value, dict):
            result[name] = merged(result.get(name, {}), value)
        else:
            assert not isinstance(value, list), f"{name} is a list that would be replaced, which an API server refuses"
            result[name] = value
    return result


def patch(thing, operation):
    """One operation of a JSON patch, add or replace."""
    *way, last = operation["path"].strip("/").split("/")
    for step in way:
        thing = thing[int(step) if isinstance(thing, list) else step]
    if isinstance(thing, list) and operation["op"] == "add":
        thing.insert(int(last), operation["value"])
    else:
        assert operation["op"] == "add" or isinstance(thing, list) or last in thing, operation
        thing[int(last) if isinstance(thing, list) else last] = operation["value"]


def mutate(policy, pod):
    """The pod as the policy leaves it."""
    if not selects(policy, pod) or not matches(policy, {"object": pod, "request": {"operation": "CREATE"}}):
        return pod
    for mutation in policy["spec"]["mutations"]:
        values = {"object": pod}
        values["variables"] = variables(policy, values)
        if mutation["patchType"] == "ApplyConfiguration":
            pod = merged(pod, ADMISSION.evaluate(as_map(mutation["applyConfiguration"]["expression"]), values))
            continue
        expression = mutation["jsonPatch"]["expression"]
        transforms = ".transformList(" in expression
        operations = transform(expression, values) if transforms else ADMISSION.evaluate(as_map(expression), values)
        pod = copy.deepcopy(pod)
        for operation in operations:
            patch(pod, operation)
    return pod


def check_mutations(failures):
    """Each pod of mutated.yaml, before and after."""
    cases = documents(HERE / "mutated.yaml")
    for case in cases:
        what = f"{case['policy']}: {case['name']}"
        policy, _ = policy_of(case["policy"])
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app"} | case.get("metadata", {}), "spec": case["before"]}
        after = mutate(policy, pod)["spec"]
        failures.expect(after == case.get("after", case["before"]), f"{what}: became {yaml.safe_dump(after, default_flow_style=True, width=1000)}")
        for mutation in policy["spec"]["mutations"]:
            expression = mutation.get("applyConfiguration", mutation.get("jsonPatch"))["expression"]
            for wanted, written in type_names(expression):
                failures.expect(wanted == written, f"{what}: {written} where {wanted} belongs")
    both = [{v["name"]: v["expression"] for v in policy_of(name)[0]["spec"]["variables"]} for name in ("inject.yaml", "inject-by-copy.yaml")]
    failures.expect(both[0] == both[1], "the variables of the two injecting policies differ")
    return cases


# Examples


def rendered(chart):
    """A chart's template, in which only plain values are looked up."""
    values = documents(chart / "values.yaml")[0]
    for template in sorted((chart / "templates").iterdir()):
        text = re.sub(r"\{\{ \.Values\.(\w+) \}\}", lambda found: str(values[found[1]]), template.read_text())
        yield template, [document for document in yaml.safe_load_all(text) if document]


def check_kustomization(failures, path):
    """Each replacement names fields that are there. Gives what comes of it."""
    kustomization = documents(path)[0]
    things = [thing for resource in kustomization["resources"] for thing in documents(path.parent / resource)]
    for replacement in kustomization["replacements"]:
        source = replacement["source"]
        (value,) = [fields(thing, source["fieldPath"])[0] for thing in things if thing["kind"] == source["kind"]]
        for target in replacement["targets"]:
            for at in target["fieldPaths"]:
                found = [holder for thing in things if thing["kind"] == target["select"]["kind"] for holder in fields(thing, at, hold=True)]
                failures.expect(found, f"{path}: nothing is at {at}")
                for holder, name in found:
                    holder[name] = str(value[0][value[1]]) if isinstance(value, tuple) else str(value)
    return things


def fields(thing, path, hold=False):
    """What is at a path of kustomize's, `*` and `[name=x]` in it; with hold, where it is held."""
    found = [({"": thing}, "")]
    for step in path.split("."):
        reached = []
        for holder, name in found:
            value = holder[name]
            chosen = re.fullmatch(r"\[(\w+)=(.+)\]", step)
            if step == "*":
                reached += [(value, at) for at in range(len(value))]
            elif chosen:
                reached += [(value, at) for at, item in enumerate(value) if item.get(chosen[1]) == chosen[2]]
            elif step in value:
                reached.append((value, step))
        found = reached
    return found if hold else [holder[name] for holder, name in found]


def check_examples(failures):
    """Every YAML file is read, and the policies let what makes pods pass. The grace period is the pod's in all of them."""
    refusing, warning = policy_of("fits.yaml")[0], policy_of("hints.yaml")[0]
    files = sorted(path for path in EXAMPLES.rglob("*") if path.suffix in (".yaml", ".yml"))
    read = [(path, documents(path)) for path in files]
    for path in files:
        if path.name == "Chart.yaml":
            read += list(rendered(path.parent))
        if path.name == "kustomization.yaml":
            read.append((path, check_kustomization(failures, path)))
    for path, things in read:
        failures.expect(things, f"{path} is empty")
        for thing in things:
            is_of_kubernetes = isinstance(thing, dict) and "kind" in thing and "apiVersion" in thing
            if is_of_kubernetes and is_matched(refusing, thing, "CREATE"):
                said = denied(refusing, thing) + denied(warning, thing)
                failures.expect(said == [], f"{path}: {thing['kind']}: {said}")
    return files


def check_pages(failures):
    """The YAML that stands in README.md and docs/ can be read: as it is, and as what is left when a diff has been applied."""
    root = EXAMPLES.parent
    blocks = 0
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        for language, text in re.findall(r"^ *```(yaml|diff)\n(.*?)\n *```", page.read_text(), re.DOTALL | re.MULTILINE):
            blocks += 1
            if language == "diff":
                text = "\n".join(line[1:] for line in text.splitlines() if not line.startswith("-"))
            if re.match(r" *(FROM|docker) ", text):
                continue
            try:
                things = list(yaml.safe_load_all(text))
                failures.expect(all(isinstance(thing, (dict, list)) for thing in things), f"{page}: no YAML:\n{text}")
            except yaml.YAMLError as error:
                failures.expect(False, f"{page}: {error}\n{text}")
    failures.expect(blocks >= 8, f"{blocks} blocks of YAML in the pages")
    return blocks


def main():
    failures = Failures()
    pods, rules = check_table(failures)
    check_updates(failures, pods)
    cases = check_mutations(failures)
    files = check_examples(failures)
    blocks = check_pages(failures)
    good = [pod for pod in pods if not pod["metadata"]["annotations"]["expect/rule"]]
    failures.expect(len(rules) == 8 and len(good) >= 8, f"the table has rules {sorted(rules)} and {len(good)} good pods")
    for said in failures.said:
        print(f"WRONG: {said}", file=sys.stderr)
    print(
        f"policies: {len(pods)} pods, {len(good)} of them good, {len(rules)} rules; {len(cases)} mutations; "
        f"{len(files)} files of examples, {blocks} blocks of pages; {failures.checks} checks, {len(failures.said)} wrong"
    )
    return 1 if failures.said else 0


if __name__ == "__main__":
    sys.exit(main())
