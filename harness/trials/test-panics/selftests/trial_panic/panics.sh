#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
echo TAP version 13
echo 1..1
echo 1 > /proc/sys/kernel/sysrq
echo c > /proc/sysrq-trigger
echo ok 1 survives
