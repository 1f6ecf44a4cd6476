"""What is kept no longer goes, rows and objects together."""
