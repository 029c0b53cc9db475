# Every target makes the environment it needs, inside the checkout; nothing is installed globally,
# but for the browser of `make test-docs`, where it is missing and root runs it.
# A finished installation leaves a stamp in its environment, so that the next run starts at once.
#
# The installations are editable: tests see the code as it stands, and an extension, compiled anew
# when its source changes, lies in the checkout, where `python -m` looks first. What a user gets
# instead, the wheel, is built by way of the source archive and tried out by `make test-wheel`.

PYTHON ?= python3

# The lower bounds in pyproject.toml. pytest 10 will refuse what scikit-learn 1.6 hands it.
OLDEST = numpy==2.0.2 scikit-learn==1.6.1 scikit-image==0.24.0 joblib==1.4.0 scipy==1.14.1 \
	threadpoolctl==3.1.0 pillow==11.0.0 tifffile==2024.5.22 imagecodecs==2024.6.1 'pytest<10'

# The releases of PyTorch and torchvision that are tested. For Linux, PyPI's bring gigabytes of CUDA,
# PyTorch's own index has those for the CPU: TORCH='torch==2.13.0 torchvision==0.28.0 --index-url
# https://download.pytorch.org/whl/cpu'.
TORCH ?= torch==2.13.0 torchvision==0.28.0

# An installation is repeated when its metadata, the version or a source to be compiled changes.
INSTALLED_FROM = pyproject.toml setup.py sklearn_histeq/__init__.py \
	$(wildcard sklearn_histeq/*/*.cpp sklearn_histeq/*/*.h)
SOURCES = $(shell find sklearn_histeq -name "*.py")

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-all doctest lint docs test-docs dist test-array-api test-deployment test-oldest test-wheel test-readme test-no-compiler test-sanitized coverage test-elsewhere test-pictures fuzz fuzz-array-api fuzz-pictures bench bench-gpu clean distclean

help:  ## list the targets
	@echo 'usage: make TARGET [PYTHON=python3.12] [ARGS="more arguments for the demo or pytest"]'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

demo: .venv/installed-plot  ## recognise faces with and without equalization
	.venv/bin/python -m sklearn_histeq demo $(ARGS)

# Engines that are named must be there: pip would install the package without its kernels, too.
EVERY_ENGINE = HISTEQ_TEST_ENGINES='reference auto portable'
test: .venv/installed-tests  ## run all tests
	$(EVERY_ENGINE) SCIPY_ARRAY_API=1 .venv/bin/python -m pytest -n auto $(ARGS)

test-all: .venv/installed-tests  ## run all tests, scikit-learn's checks over all parameters, and more signals
	$(EVERY_ENGINE) HISTEQ_TEST_ALL=1 HISTEQ_SIGNALS=12 SCIPY_ARRAY_API=1 .venv/bin/python -m pytest -n auto $(ARGS)

# docs/deployment.md needs the libraries of test-deployment.
doctest: .venv/installed-tests  ## run the examples in docstrings, README and docs
	.venv/bin/python -m pytest --doctest-modules --doctest-glob='*.md' sklearn_histeq \
		$(filter-out docs/deployment.md,$(wildcard README.md docs/*.md docs/guide/*.md)) $(ARGS)

lint: .venv/installed-dev  ## run ruff, mypy, pyright and the schemas
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/python .ci/check_types.py
	.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*_re*.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

# The gallery and the reference are made anew each time: what is stale hides what is missing.
SITE = docs/_build/html
docs: .venv/installed-docs  ## build the documentation into docs/_build/html
	rm -rf docs/_build docs/api docs/auto_examples
	MPLBACKEND=Agg .venv/bin/python -m sphinx -q -W --keep-going -b html docs $(SITE)
	@echo 'The start page is $(SITE)/index.html.'

test-docs: docs .venv/installed-tests  ## build the documentation and try it in a browser
	.ci/install_chromium
	.venv/bin/python -m pytest -p no:cacheprovider docs/test_site.py $(ARGS)

test-array-api: .venv-array-api/installed-tests  ## test arrays of PyTorch and array_api_strict
	SCIPY_ARRAY_API=1 .venv-array-api/bin/python -m pytest -n auto \
		tests/test_array_api.py tests/test_estimator_checks.py $(ARGS)
	$(MAKE) fuzz-array-api CASES=2

test-deployment: .venv-array-api/installed-deployment  ## run docs/deployment.md, with networks, skops and MLflow
	.venv-array-api/bin/python -m pytest tests/test_deployment.py tests/test_versions.py $(ARGS)

# It is the wheel that is tested: `pytest`, unlike `python -m pytest`, does not look into the checkout.
# Which loops the kernels run, no release of another library changes: the portable ones are left out,
# and a few random examples per test are enough.
test-oldest: .venv-oldest/installed-tests  ## run the tests on the wheel, with the oldest releases
	HISTEQ_TEST_ENGINES='reference auto' HYPOTHESIS_PROFILE=short SCIPY_ARRAY_API=1 \
		.venv-oldest/bin/pytest -n auto $(ARGS)

# With -I neither the checkout nor anything else of the user's is importable, only the wheel.
test-wheel: .venv/installed-dev  ## build the wheel, install it without extras, try it
	rm -rf build dist .venv-wheel
	.venv/bin/python -m build --quiet
	.venv/bin/python -m twine check --strict dist/*
	.venv/bin/python .ci/check_dist.py
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip install -q dist/*.whl
	env -u SCIPY_ARRAY_API .venv-wheel/bin/python -I .ci/check_wheel.py

# The tests are those of the source archive, the package is the wheel: `pytest` does not look into
# the directory that it runs in.
dist: test-wheel  ## build a release into dist/, run all tests on it
	$(call upgrade-pip,.venv-wheel)
	.venv-wheel/bin/python -m pip install -q "$$(ls dist/*.whl)[dask,files,plot]" --group tests
	mkdir .venv-wheel/source && tar -xf dist/*.tar.gz -C .venv-wheel/source --strip-components=1
	cd .venv-wheel/source && rm -r sklearn_histeq/ && \
		SCIPY_ARRAY_API=1 ../bin/pytest -q -n auto -p no:cacheprovider $(ARGS)

# As a newcomer would: the commit in an empty folder, an empty environment, the README's first command.
README_CLONE = .venv-readme
test-readme:  ## do what the README says in a fresh clone
	rm -rf $(README_CLONE) && mkdir $(README_CLONE)
	git archive --format=tar HEAD | tar -x -C $(README_CLONE)
	$(PYTHON) -m venv $(README_CLONE)/.venv
	$(PYTHON) .ci/check_readme.py $(README_CLONE)

# CC=false is a machine without a compiler; stale builds would hide that. pip installs the package
# all the same, and the tests pass on it; those of the command line, which take minutes and hardly
# touch pixels, are left out. A wheel for others is not built, or if someone insists, does not pass
# as a release.
NO_COMPILER = .venv-no-compiler
WITHOUT_COMPILER = cd $(NO_COMPILER)/source && CC=false CXX=false
test-no-compiler: .venv/installed-dev .venv/installed-tests  ## install without a compiler, try it
	rm -rf $(NO_COMPILER) && $(PYTHON) -m venv $(NO_COMPILER)
	git archive --format=tar --prefix=source/ HEAD | tar -x -C $(NO_COMPILER)
	$(WITHOUT_COMPILER) ../bin/python -m pip install -q .
	env -u SCIPY_ARRAY_API $(NO_COMPILER)/bin/python -I .ci/check_no_compiler.py
	rm -rf $(NO_COMPILER)/source/build
	cd $(NO_COMPILER)/source && HISTEQ_TEST_ENGINES=reference HYPOTHESIS_PROFILE=short SCIPY_ARRAY_API=1 \
		../../.venv/bin/python -m pytest -n auto -q -p no:cacheprovider --ignore-glob='*/test_cli*' $(ARGS)
	! ($(WITHOUT_COMPILER) ../../.venv/bin/python -m build --wheel --outdir ../refused >../refused.log 2>&1)
	grep 'set the environment variable SKLEARN_HISTEQ_WITHOUT_KERNELS=1' $(NO_COMPILER)/refused.log
	$(WITHOUT_COMPILER) SKLEARN_HISTEQ_WITHOUT_KERNELS=1 ../../.venv/bin/python -m build -q --outdir ../dist
	.venv/bin/python .ci/check_dist.py $(NO_COMPILER)/dist 2>&1 | grep 'the kernels were not built'

# Address and undefined-behaviour sanitizers need gcc or clang on Linux, and minutes.
SANITIZED = .venv/sanitized
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=undefined
test-sanitized: .venv/installed-tests .venv/installed-dev  ## test pixels on sanitized kernels
	rm -rf $(SANITIZED) && mkdir $(SANITIZED)
	cp -r sklearn_histeq tests benchmarks docs README.md LICENSE pyproject.toml setup.py $(SANITIZED)
	cd $(SANITIZED) && rm -f sklearn_histeq/*/*.so && CFLAGS='$(SANITIZERS) -g' \
		CXXFLAGS='$(SANITIZERS) -g' ../bin/python setup.py -q build_ext --inplace
	cd $(SANITIZED) && HISTEQ_TEST_ENGINES='auto portable' SCIPY_ARRAY_API=1 PYTHONMALLOC=malloc \
		ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
		LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
		../bin/python -m pytest -q -n auto -p no:cacheprovider -m engines $(ARGS)

# Lines of the kernels, by gcov, in a copy that is compiled for it: a few examples of the tests that
# run on all engines.
COVERED = .venv/covered
coverage: .venv/installed-tests .venv/installed-dev  ## measure which lines of the kernels the tests run
	rm -rf $(COVERED) && mkdir $(COVERED)
	cp -r sklearn_histeq tests benchmarks docs README.md LICENSE pyproject.toml setup.py $(COVERED)
	cd $(COVERED) && rm -f sklearn_histeq/*/*.so && CFLAGS=--coverage CXXFLAGS=--coverage \
		../bin/python setup.py -q build_ext --inplace
	cd $(COVERED) && HISTEQ_TEST_ENGINES='auto portable' HYPOTHESIS_PROFILE=short SCIPY_ARRAY_API=1 \
		../bin/python -m pytest -q -n auto -p no:cacheprovider -m engines $(ARGS)
	cd $(COVERED) && ../bin/python -m pytest -q -p no:cacheprovider tests/test_kernels.py
	.venv/bin/python .ci/kernel_coverage.py $(COVERED)

# Debian 13 in a folder, with CPython 3.13: x86-64 takes minutes, arm64 under qemu an hour.
test-elsewhere: .venv/installed-dev  ## run the tests on Debian 13, x86-64 and arm64
	.ci/test_elsewhere amd64 $(ARGS)
	.ci/test_elsewhere arm64 $(ARGS)

# Both engines on planes made to be awkward; CASES=100000 takes hours.
CASES ?= 300
fuzz: .venv/installed-tests  ## compare bits on random planes, of both engines and of the libraries
	.venv/bin/python benchmarks/fuzz_engines.py --cases $(CASES) $(ARGS)
	.venv/bin/python benchmarks/compare_libraries.py --planes $(CASES)

fuzz-array-api: .venv-array-api/installed-tests  ## compare the engine for other devices, likewise
	for library in torch array_api_strict; do SCIPY_ARRAY_API=1 .venv-array-api/bin/python \
		benchmarks/fuzz_engines.py --library $$library --cases $(CASES) $(ARGS) || exit 1; done

# Damaged copies of all kinds of pictures, within limits of memory and time.
MUTANTS ?= 20000
fuzz-pictures: .venv/installed-tests  ## equalize damaged picture files, which must be read or refused
	.venv/bin/python benchmarks/fuzz_pictures.py --mutants $(MUTANTS) $(ARGS)

# Pillow's source archive has about a thousand in Tests/images.
PICTURES ?= pictures
test-pictures: .venv/installed-tests  ## equalize all pictures in PICTURES=folder, compare what is kept
	.venv/bin/python benchmarks/check_pictures.py $(PICTURES) $(ARGS)

bench: .venv/installed-tests  ## measure the package beside its peers, write docs/measurements
	.venv/bin/python benchmarks/bench_equalize.py --write $(ARGS)
	.venv/bin/python benchmarks/bench_paths.py --write
	.venv/bin/python docs/draw_speed.py

bench-gpu: .venv-array-api/installed-tests  ## measure tensors beside kornia and torchvision
	.venv-array-api/bin/python -m pip install -q --no-deps kornia kornia_rs
	SCIPY_ARRAY_API=1 .venv-array-api/bin/python benchmarks/bench_array_api.py $(ARGS)

clean:  ## remove builds and caches
	rm -rf build dist docs/_build docs/api docs/auto_examples *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f sklearn_histeq/*/*.so
	find sklearn_histeq tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean  ## remove the environments, too
	rm -rf .venv .venv-array-api .venv-elsewhere .venv-no-compiler .venv-oldest .venv-readme .venv-wheel

.venv/installed-plot: $(INSTALLED_FROM) | .venv/bin/python
	@echo 'Installing into .venv; the first time this takes a minute or two.'
	.venv/bin/python -m pip install -q --editable '.[plot]'
	@touch $@

$(addprefix .venv/installed-,tests dev docs): .venv/installed-%: $(INSTALLED_FROM) | .venv/bin/python
	@echo 'Installing into .venv; the first time this takes a minute or two.'
	.venv/bin/python -m pip install -q --editable '.[dask,files,plot]' --group $*
	@touch $@

.venv-oldest/installed-tests: $(INSTALLED_FROM) $(SOURCES) Makefile | .venv-oldest/bin/python
	@echo 'Installing into .venv-oldest; the first time this takes a minute or two.'
	rm -rf build .venv-oldest/wheel
	.venv-oldest/bin/python -m pip wheel -q --no-deps --wheel-dir .venv-oldest/wheel .
	.venv-oldest/bin/python -m pip install -q --force-reinstall --no-deps .venv-oldest/wheel/*.whl
	.venv-oldest/bin/python -m pip install -q "$$(ls .venv-oldest/wheel/*.whl)[dask,files,plot]" \
		--group tests $(OLDEST)
	@touch $@

# All but PyTorch is taken from .venv, so that nothing is compiled twice.
.venv-array-api/installed-tests: .venv/installed-tests Makefile | .venv-array-api/bin/python
	@echo 'Installing into .venv-array-api; the first time this takes a minute or two.'
	.venv-array-api/bin/python -c "import sysconfig; path = sysconfig.get_path('purelib'); \
		line = 'import site; site.addsitedir(\'' + '$(CURDIR)/.venv' + path.partition('.venv-array-api')[2] + '\')'; \
		open(path + '/packages.pth', 'w').write(line)"
	.venv-array-api/bin/python -m pip install -q $(TORCH)
	@touch $@

.venv-array-api/installed-deployment: .venv-array-api/installed-tests
	.venv/bin/python -m pip --python .venv-array-api/bin/python install -q --group deployment
	@touch $@

.venv/bin/python:
	$(call require-python,v >= 311,sklearn-histeq needs Python 3.11 or newer)
	$(PYTHON) -m venv .venv
	$(call upgrade-pip,.venv)

.venv-array-api/bin/python: | .venv/bin/python
	.venv/bin/python -m venv .venv-array-api

.venv-oldest/bin/python:
	$(call require-python,311 <= v <= 312,The oldest releases need Python 3.11 or 3.12)
	$(PYTHON) -m venv .venv-oldest
	$(call upgrade-pip,.venv-oldest)

# Python 3.11 brings a pip that knows no dependency groups.
upgrade-pip = $(1)/bin/python -m pip install -q --upgrade 'pip>=25.1'

# $(call require-python,CONDITION ON v,MESSAGE), where v is 311 for Python 3.11
define require-python
@$(PYTHON) -c 'import sys; v = 100 * sys.version_info[0] + sys.version_info[1]; sys.exit(not ($(1)))' \
	|| { echo '$(2); PYTHON=$(PYTHON) is:' "$$($(PYTHON) --version 2>&1)." \
	'Name another: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; exit 1; }
endef
