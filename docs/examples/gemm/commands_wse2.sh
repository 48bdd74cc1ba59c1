#!/usr/bin/env bash
set -e
cslc --arch=wse2 ./layout.csl --fabric-dims=11,6 --fabric-offsets=4,1 --params=P:4,m:16,k:16,n:16 -o out --memcpy --channels=1
cs_python run.py --name out
