"""What is written beside the program: manual pages without a complaint, a README in every folder of src/, links that lead somewhere."""
import glob
import os
import re
import subprocess

import peers


def test_manual_pages():
    pages = glob.glob(os.path.join(peers.TOP, "doc", "man", "*.[0-9]"))
    assert len(pages) >= 4
    for page in pages:
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l", page], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"})
        assert done.returncode == 0 and done.stderr == "" and done.stdout, f"{page}: {done.stderr}"


def test_every_folder_says_what_it_is():
    folders = [d for d in glob.glob(os.path.join(peers.TOP, "src", "*")) + glob.glob(os.path.join(peers.TOP, "src", "role", "*")) if os.path.isdir(d)]
    assert len(folders) > 20
    missing = [d for d in folders if not os.path.exists(os.path.join(d, "README.md"))]
    assert not missing, missing


def test_links_lead_somewhere():
    papers = glob.glob(os.path.join(peers.TOP, "*.md")) + glob.glob(os.path.join(peers.TOP, "doc", "**", "*.md"), recursive=True)
    for paper in papers:
        with open(paper) as f:
            for target in re.findall(r"\]\(([^)#]+)", f.read()):
                assert "://" in target or os.path.exists(os.path.join(os.path.dirname(paper), target)), f"{paper}: {target}"
