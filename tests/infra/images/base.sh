#!/bin/sh
# Makes lifeboat-base:test, which stands in for python:3.11-slim-bookworm where no registry can be reached: Debian 12 by
# debootstrap, and the Python that is named. As root, with a Docker engine:
#
#   tests/infra/images/base.sh /path/to/python3.11
#
# The package index's certificates and pip's settings of this machine go into it, and from there into no image of ours.
set -eu
python=$("$1" -c 'import sys; print(sys.base_prefix)')
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

debootstrap --variant=minbase --include=ca-certificates,netbase,tzdata,libbz2-1.0,libdb5.3,libexpat1,libffi8,libgdbm6,\
liblzma5,libncursesw6,libnsl2,libreadline8,libsqlite3-0,libssl3,libuuid1,zlib1g bookworm "$root"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*

tar -C "$python" --exclude='bin/*' --exclude='site-packages/*' --exclude=test --exclude=__pycache__ --exclude='*.a' \
  --exclude='_tkinter*' --exclude=share -cf - . | tar -C "$root/usr/local" -xf -
cp "$python/bin/python3.11" "$root/usr/local/bin/"
ln -sf python3.11 "$root/usr/local/bin/python3"
chroot "$root" /sbin/ldconfig
chroot "$root" /usr/local/bin/python3 -m ensurepip

[ -z "${SSL_CERT_FILE:-}" ] || cp "$SSL_CERT_FILE" "$root/etc/ssl/certs/ca-certificates.crt"
printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"

tar -C "$root" -cf - . | docker import --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' --change 'CMD ["python3"]' - lifeboat-base:test
