#!/bin/bash
#SBATCH --job-name=train
#SBATCH --nodes=16
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#
# A survey as the first step of a job: training starts on a healthy cluster only. It needs a folder
# that all nodes see, and efa_sdk in the environment of the job. EXPECTED_GBPS, what a pair should
# reach in each direction, tells that all nodes are slow. docs/survey.md has the details.
set -euo pipefail

folder=${SURVEY_FOLDER:-$SLURM_SUBMIT_DIR/survey-$SLURM_JOB_ID}
umask 077
mkdir -p "$folder"
head -c 32 /dev/urandom | base64 > "$folder/token"
trap 'rm -f "$folder/token"' EXIT

first_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
status=0
# Task 0 runs on the first node, where all ranks meet. The report has Slurm's own node names.
srun --ntasks-per-node=1 --kill-on-bad-exit=0 --distribution=block \
    python -m efa_sdk.survey \
    --rendezvous "$first_node:${SURVEY_PORT:-7777}" \
    --token-file "$folder/token" \
    ${EXPECTED_GBPS:+--expected-gbps "$EXPECTED_GBPS"} \
    --save "$folder/report.json" || status=$?

case $status in
    0) ;;
    1)
        echo "the survey has findings: $folder/report.json; an administrator may run:" >&2
        python -c 'import sys; from efa_sdk.survey import SurveyReport
print(SurveyReport.load(sys.argv[1]).drain_commands("slurm"))' "$folder/report.json" >&2
        exit 1
        ;;
    *)
        echo "the nodes could not be surveyed (exit status $status); nothing is known of them" >&2
        exit "$status"
        ;;
esac

srun "$@"
