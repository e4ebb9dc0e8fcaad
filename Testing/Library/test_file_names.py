"""Names that stand in files stay in their folder."""

from __future__ import annotations

import pytest
from hostile_names import LEADING_OUT

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.file_names import inside, is_plain_name, is_reserved, require_plain_name


@pytest.mark.parametrize("name", [*LEADING_OUT, 7, None, ["a"]])
def test_a_name_that_may_lead_out_of_its_folder_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="The list names the file .* may lead out of"):
        inside(tmp_path, name, "the list")


@pytest.mark.parametrize("name", ["a", "imagesTr/p01_0000.nii.gz", ".hidden", "größer.json", "console.txt", "a b.nii", "com10.txt", "..a"])
def test_a_name_in_the_folder_is_taken(tmp_path, name):
    assert inside(tmp_path, name, "the list") == tmp_path / name


def test_a_link_that_leads_out_of_the_folder_is_refused_and_one_within_is_not(tmp_path):
    home = tmp_path / "home"
    (home / "real").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (home / "out").symlink_to(tmp_path / "elsewhere")
    (home / "within").symlink_to(home / "real")
    with pytest.raises(InputError, match="a link in '.*home' leads out of that folder, to '.*elsewhere'"):
        inside(home, "out/victim", "the list")
    assert inside(home, "within/file", "the list") == home / "within" / "file"
    (tmp_path / "linked").symlink_to(home)  # the folder itself may be one
    assert inside(tmp_path / "linked", "real/file", "the list") == tmp_path / "linked" / "real" / "file"


def test_plain_names_have_one_part():
    assert is_plain_name("p01.nii.gz")
    assert not is_plain_name("a/b")
    assert is_reserved("Aux") and is_reserved("nul.tar.gz") and not is_reserved("auxiliary")
    with pytest.raises(InputError, match="The case 'a/b' cannot name a file"):
        require_plain_name("a/b", "the case")


def test_cases_and_parts_of_studies_have_no_names_that_windows_keeps():
    from SAM2AnnotateLib.nnunet.cases.case import require_case_id
    from SAM2AnnotateLib.yaml_config.names import require_names

    for name in ("CON", "nul", "AUX", "COM1", "lpt9"):
        with pytest.raises(InputError, match="Windows keeps for devices"):
            require_case_id(name)
        with pytest.raises(InputError, match="Windows keeps for devices"):
            require_names("scenario", [name])
    require_case_id("CON1")
    with pytest.raises(InputError):
        require_case_id("aux.x")
