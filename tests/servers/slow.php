<?php
echo file_get_contents("http://" . getenv("UPSTREAM") . $_SERVER["REQUEST_URI"]);
