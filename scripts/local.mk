EXTRA_DIST += scripts/setup
EXTRA_DIST += scripts/demo
EXTRA_DIST += scripts/test
EXTRA_DIST += scripts/test-sanitizers
EXTRA_DIST += scripts/common.sh
EXTRA_DIST += .ci/run
EXTRA_DIST += scripts/fetch-models
