"""What the shells make of `tipwire completion`: commands, and the settings that `serve` and `doctor` take."""

import re
import subprocess

from support.proxies import needed
from support.server import ROOT, binary


def script(shell, tmp_path):
    file = tmp_path / f"tipwire.{shell}"
    file.write_text(subprocess.run([binary(), "completion", shell], capture_output=True, text=True, check=True).stdout)
    return file


def settings():
    """Every option of the table of settings."""
    return set(re.findall(r"^\| `[^`]+` \| `(--[^`]+)` \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE))


def in_bash(file, *words):
    """What bash offers for the last of `words`."""
    quoted = " ".join(f"'{word}'" for word in words)
    # The library's script is run as bash runs it: with the word, and the one before it.
    done = subprocess.run(
        ["bash", "-c", f"""
source '{file}'
COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1} COMP_LINE="{' '.join(words)}" COMP_POINT={len(' '.join(words))}
_tipwire tipwire '{words[-1]}' '{words[-2]}'
printf '%s\\n' "${{COMPREPLY[@]}}"
"""], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


def in_fish(fish, file, line, home):
    done = subprocess.run(
        [fish, "--no-config", "-c", f"source '{file}'; complete -C '{line}'"],
        capture_output=True, text=True, timeout=60, env={"HOME": str(home), "PATH": "/usr/bin:/bin"}, cwd=home)
    assert done.returncode == 0, done.stderr
    return [row.split("\t")[0] for row in done.stdout.splitlines()]


def test_bash_offers_every_setting_and_the_values_that_are_words(tmp_path):
    file = script("bash", tmp_path)
    assert len(settings()) > 30
    for command, own in (("serve", {"--demo", "--check", "--config"}), ("doctor", {"--url", "--key-file", "--config"})):
        assert set(in_bash(file, "tipwire", command, "--")) == settings() | own | {"--help"}
        assert in_bash(file, "tipwire", command, "--feed-id") == ["--feed-idle-seconds"]
        assert in_bash(file, "tipwire", command, "--log-level", "w") == ["warning"]
        assert in_bash(file, "tipwire", command, "--port", "") == []
        assert str(file) in in_bash(file, "tipwire", command, "--tls-key", f"{tmp_path}/")
    assert "completion" in in_bash(file, "tipwire", "com")
    assert in_bash(file, "tipwire", "goal", "adj") == ["adjust"]


def test_fish_offers_every_setting_and_the_values_that_are_words(tmp_path):
    file, fish = script("fish", tmp_path), needed("fish")
    for command in ("serve", "doctor"):
        assert settings() <= set(in_fish(fish, file, f"tipwire {command} --", tmp_path))
        assert in_fish(fish, file, f"tipwire {command} --log-level w", tmp_path) == ["warning"]
        assert in_fish(fish, file, f"tipwire {command} --port ", tmp_path) == []
        assert file.name in in_fish(fish, file, f"tipwire {command} --tls-key tip", tmp_path)
    assert not settings() & set(in_fish(fish, file, "tipwire page list --", tmp_path))


def test_zsh_reads_its_script_and_its_specifications(tmp_path):
    file, zsh = script("zsh", tmp_path), needed("zsh")
    # `_arguments` itself reads the specifications: one that it can't use is a complaint on standard error.
    done = subprocess.run(
        [zsh, "-f", "-c", f"""
autoload -Uz compinit && compinit -D -u
source '{file}'
_arguments() {{ print -rl -- "$@" }}
_tipwire_serve
print -r -- --- ; print -r -- $_comps[tipwire]
"""], capture_output=True, text=True, timeout=60, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0 and not done.stderr, done.stderr
    specifications, _, command = done.stdout.partition("---\n")
    assert command.strip() == "_tipwire"
    found = re.findall(r"^(--[a-z0-9-]+)\[(?:\\.|[^\]\\])+\](:[a-z]+:.*)?$", specifications, re.MULTILINE)
    assert {name for name, _ in found} == settings() | {"--demo", "--check", "--config", "--help"}
    assert dict(found)["--log-format"] == ":value:(text json)" and dict(found)["--tls-key"] == ":file:_files"


def test_an_unknown_shell_is_told_the_known_ones():
    done = subprocess.run([binary(), "completion", "tcsh"], capture_output=True, text=True)
    assert done.returncode != 0 and "bash" in done.stderr and "fish" in done.stderr
