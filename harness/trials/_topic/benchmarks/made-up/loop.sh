#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The time of a thousand turns, in milliseconds of the guest's clock.
read -r start _ </proc/uptime
i=0
while [ $i -lt 1000 ]; do i=$((i + 1)); done
read -r end _ </proc/uptime
start=$(echo "$start" | tr -d .) end=$(echo "$end" | tr -d .)
echo "kseries loop $(((end - start) * 10))"
echo "kseries end 1"
