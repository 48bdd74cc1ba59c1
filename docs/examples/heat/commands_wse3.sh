#!/usr/bin/env bash
set -e
cslc --arch=wse3 ./layout.csl --fabric-dims=13,3 --fabric-offsets=4,1 --params=P:6,N:10 -o out --memcpy --channels=1
cs_python run.py --name out
